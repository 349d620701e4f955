"""Checkpoints, and trainings that are killed and go on."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest
from transformers import TrainerCallback

from foldwise.common.errors import FoldwiseError
from foldwise.common.output import WORKFLOW_JOB
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.training import trainer as training_module
from foldwise.mlm.training.checkpoints import MARK, finished_record, mark
from foldwise.mlm.training.job import pretrain
from foldwise.mlm.training.masking import (
    MaskingRules,
)
from mlm_models import LENGTH, PLAN, SIZE


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_a_training_leaves_checkpoints_without_pickles(trained):
    out, record = trained
    assert (record["steps"], record["early_stopped"], record["start"]) == (
        8,
        False,
        "random weights",
    )
    assert sorted(path.name for path in out.glob("checkpoint-*")) == [
        "checkpoint-4",
        "checkpoint-8",
    ]
    kinds = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert kinds == {".json", ".csv", ".safetensors"}
    history = pd.read_csv(out / "history.csv")
    assert history["loss"].notna().all()
    assert load_masked_model(out / "checkpoint-8").max_length == LENGTH


def test_a_killed_training_goes_on_to_the_same_weights(trained, corpus, tmp_path, monkeypatch):
    out, _ = trained

    class Killer(TrainerCallback):
        def __init__(self, log):
            self.log = log

        def on_step_end(self, args, state, control, **_):
            if state.global_step == 6:
                raise KeyboardInterrupt

    again = tmp_path / "mlm"
    with monkeypatch.context() as patch:
        patch.setattr(training_module, "_Reporter", Killer)
        with pytest.raises(KeyboardInterrupt):
            pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert not (again / "training.json").exists()
    cut = again / "checkpoint-5"
    cut.mkdir()
    shutil.copy(again / "checkpoint-4" / MARK, cut)
    (cut / "model.safetensors").write_bytes(b"half")
    pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert weights(again / "checkpoint-8") == weights(out / "checkpoint-8")
    assert not cut.exists()


def test_other_work_in_the_folder_is_refused_and_kept(trained, corpus, tmp_path):
    out, _ = trained
    copy = tmp_path / "mlm"
    shutil.copytree(out, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    other = replace(PLAN, rules=MaskingRules(seed=5), steps=4)
    with pytest.raises(FoldwiseError, match="output-dir"):
        pretrain(corpus / "training.jsonl", SIZE, None, other, copy)
    with pytest.raises(FoldwiseError, match="output-dir"):  # the folder that it starts from
        pretrain(corpus / "training.jsonl", SIZE, copy / "checkpoint-4", PLAN, copy)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_folder_that_no_training_marked_is_refused(corpus, tmp_path):
    mine = tmp_path / "checkpoint-3"
    mine.mkdir()
    (mine / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(FoldwiseError, match="checkpoint-3"):
        pretrain(corpus / "training.jsonl", SIZE, None, PLAN, tmp_path)
    assert (mine / "model.safetensors").read_bytes() == b"mine"


def test_finished_work_is_not_repeated_and_evaluations_stay(trained, corpus, tmp_path):
    out, record = trained
    copy = tmp_path / "mlm"
    shutil.copytree(out, copy)
    (copy / "checkpoint-8_eval").mkdir()
    (copy / "checkpoint-8_eval" / "results.json").write_text("{}")
    (copy / "checkpoint-8_eval_results.json").write_text("{}")
    stamp = (copy / "checkpoint-8" / "model.safetensors").stat().st_mtime_ns
    assert pretrain(corpus / "training.jsonl", SIZE, None, PLAN, copy) == record
    assert (copy / "checkpoint-8" / "model.safetensors").stat().st_mtime_ns == stamp
    assert (copy / "checkpoint-8_eval" / "results.json").exists()
    assert (copy / "checkpoint-8_eval_results.json").exists()


@pytest.mark.parametrize("name", ["trainer_state.json", "optimizer.pt", "model.safetensors"])
def test_a_damaged_checkpoint_is_made_again(name, trained, corpus, tmp_path, monkeypatch):
    out, _ = trained
    again = tmp_path / "mlm"

    def full(*_):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(training_module, "write_csv", full)
        with pytest.raises(OSError):  # noqa: PT011
            pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    broken = again / "checkpoint-8" / name
    half = broken.read_bytes()[: broken.stat().st_size // 2 if name != "trainer_state.json" else 0]
    broken.write_bytes(half)
    pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert weights(again / "checkpoint-8") == weights(out / "checkpoint-8")


def test_a_job_of_the_workflow_replaces_only_marked_checkpoints(tmp_path, monkeypatch):
    mark(tmp_path / "checkpoint-4", "before")
    monkeypatch.setenv(WORKFLOW_JOB, "1")
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "checkpoint-7" / "config.json").write_text("{}")
    with pytest.raises(FoldwiseError, match="checkpoint-7"):
        finished_record(tmp_path, "now")
    assert (tmp_path / "checkpoint-4").exists()
    shutil.rmtree(tmp_path / "checkpoint-7")
    assert finished_record(tmp_path, "now") is None
    assert not (tmp_path / "checkpoint-4").exists()


def test_a_linked_checkpoint_is_never_followed(tmp_path):
    """Whatever its mark: files of another folder would go."""
    real, out = tmp_path / "elsewhere", tmp_path / "out"
    mark(real, "mine")
    (real / "optimizer.pt").write_text("state")
    out.mkdir()
    (out / "checkpoint-4").symlink_to(real)
    with pytest.raises(FoldwiseError, match="checkpoint-4"):
        finished_record(out, "mine")
    assert (real / "optimizer.pt").read_text() == "state"
