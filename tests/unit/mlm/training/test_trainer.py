"""Checkpoints, and trainings that are killed and go on."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest
from transformers import TrainerCallback

from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.training import trainer as training_module
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
    (cut / "model.safetensors").write_bytes(b"half")
    pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert weights(again / "checkpoint-8") == weights(out / "checkpoint-8")
    assert not cut.exists()


def test_other_work_does_not_go_on_from_it(trained, corpus, tmp_path):
    out, _ = trained
    copy = tmp_path / "mlm"
    shutil.copytree(out, copy)
    (copy / "training.json").unlink()
    other = replace(PLAN, rules=MaskingRules(seed=5), steps=4)
    record = pretrain(corpus / "training.jsonl", SIZE, None, other, copy)
    assert record["steps"] == 4
    assert [path.name for path in copy.glob("checkpoint-*")] == ["checkpoint-4"]
    assert weights(copy / "checkpoint-4") != weights(out / "checkpoint-4")
