"""Trainings and evaluations in the registry, beside a run about crystals."""

import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.mlm.evaluation.job import EvaluationSettings
from foldwise.mlm.job import SingleRun
from foldwise.mlm.recording.evaluation import record_evaluation
from foldwise.mlm.recording.training import record_finetuning, record_pretraining
from foldwise.tracking import commands
from foldwise.tracking.record.registry import Registry
from mlm_models import PLAN, SIZE
from tracking_files import finished_run, make_config


@pytest.fixture(scope="module")
def house(corpus, sample_file, tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded")
    registry, out = root / "results", root / "mine"
    finished_run(Registry(registry), make_config("e0"), 0.05)
    record_pretraining(registry, corpus / "training.jsonl", SIZE, None, plan=PLAN, out=out)
    for step in (4, 8):
        run = SingleRun(
            checkpoint=str(out / f"checkpoint-{step}"), output_dir=None, samples=sample_file,
            lambada=None, baseline=None, training_texts=[corpus / "training.jsonl"], worst_n=1,
            resamples=200, cache=root / "cache",
        )  # fmt: skip
        assert "Real@1" in record_evaluation(registry, run, EvaluationSettings())
    return root


def entry(house, name):
    return commands.find_run(Registry(house / "results"), str(house / name))


def test_a_training_keeps_its_history_and_names_its_model(house):
    found = entry(house, "mine")
    assert (found["status"], found["ranked_by"], found["direction"]) == (
        "complete", "train_loss", "min",
    )  # fmt: skip
    folder = Registry(house / "results").folder(found["identity"])
    kept = pd.read_csv(folder / "attempt_1/history/training.csv")
    assert len(kept) == PLAN.steps
    assert found["metrics"]["train_loss"] == pytest.approx(kept["loss"].mean())
    assert "step 8/8" in (folder / "attempt_1/log.txt").read_text()
    assert found["artifact_paths"]["checkpoint-8/model.safetensors"].endswith(
        "mine/checkpoint-8/model.safetensors"
    )


def test_an_evaluation_has_its_own_metrics_and_a_decision(house):
    found = entry(house, "mine/checkpoint-8")
    assert (found["status"], found["ranked_by"], found["direction"]) == ("complete", "real1", "max")
    assert found["test_presumably_seen"] is False
    assert {"real1", "real5", "coverage", "n"} <= set(found["metrics"])
    assert found["decision"]["verdict"] in ("keep", "discard")
    assert "predictions.parquet" in found["artifact_paths"]
    both = [entry(house, f"mine/checkpoint-{step}") for step in (4, 8)]
    assert both[0]["task"] == both[1]["task"]
    assert sum(one["is_best"] for one in both) == 1


def test_every_command_knows_both_kinds_of_run(house, sample_file, tmp_path):
    root = house / "results"
    tables = commands.list_runs(root, None, None).split("\n\n")
    assert len(tables) == 3  # by MAE, by Real@1, by loss
    ranked = commands.rank(root, "real1", None)
    assert all(entry(house, f"mine/checkpoint-{step}")["identity"] in ranked for step in (4, 8))
    first, second = (str(house / f"mine/checkpoint-{step}") for step in (4, 8))
    assert "Metrics on the same" in commands.compare(root, first, second, "md")
    assert "no predictions to pair" in commands.compare(root, str(house / "mine"), second, "md")
    for run, result in ((second, "results.json"), (str(house / "mine"), "training.json")):
        assert "MB" in commands.export(root, run, tmp_path / "run.zip")
        with zipfile.ZipFile(tmp_path / "run.zip") as archive:
            inside = {name.split("/", 1)[1]: name for name in archive.namelist()}
            readme = archive.read(inside["README.txt"]).decode()
        assert f"record/attempt_1/{result}" in inside
        assert f"{result} with record/attempt_1/{result}." in readme
        assert "  texts  " in readme or f"  samples     {file_sha256(sample_file)}" in readme
    board = pd.read_csv(root / "leaderboard.csv")
    assert set(board["ranked_by"]) == {"mae_mean", "real1", "train_loss"}


def test_a_fine_tuning_that_cannot_start_is_a_failed_run(house, corpus, tmp_path):
    plan = replace(PLAN, max_length=10**6)
    with pytest.raises(FoldwiseError, match="above the model's"):
        record_finetuning(
            house / "results", house / "mine/checkpoint-8", corpus, plan, tmp_path / "e"
        )
    found = commands.find_run(Registry(house / "results"), str(tmp_path / "e"))
    assert (found["status"], found["failure"]["kind"]) == ("failed", "error")
