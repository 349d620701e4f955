"""Trainings as the programs call them: early stopping, lengths, refusals."""

import filecmp
import json
from dataclasses import replace

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.texts.tagged_texts import TaggedText, read_tagged_texts
from foldwise.mlm.training.job import finetune_entities, pretrain
from foldwise.mlm.training.masking import (
    ExampleMaker,
    MaskingRules,
)
from mlm_models import LENGTH, PLAN, SIZE


def test_entity_fine_tuning_keeps_the_best(trained, corpus, tmp_path):
    out, _ = trained
    rules = MaskingRules(entity_fraction=0.8, substitute=0.5)
    plan = replace(PLAN, rules=rules, passes=1, steps=None, batch_size=40, save_every=1, patience=1)
    record = finetune_entities(
        out / "checkpoint-8", corpus, replace(plan, passes=6), tmp_path / "e"
    )
    assert record["n_heldout_questions"] > 20
    best = tmp_path / "e" / f"checkpoint-{record['best_step']}"
    assert filecmp.cmp(
        best / "model.safetensors",
        tmp_path / "e" / "checkpoint-best" / "model.safetensors",
        shallow=False,
    )
    measured = [
        row["heldout_real1"] for row in record["history"] if row["heldout_real1"] is not None
    ]
    assert record["early_stopped"] or len(measured) == 6
    ids = {text.id for text in read_tagged_texts(corpus / "heldout.jsonl")}
    assert not ids & {text.id for text in read_tagged_texts(corpus / "training.jsonl")}


def test_without_a_length_a_training_takes_what_its_model_allows(trained, corpus, tmp_path):
    out, _ = trained
    plan = replace(PLAN, max_length=None, passes=1, steps=2)
    finetune_entities(out / "checkpoint-8", corpus, plan, tmp_path / "e")
    record = json.loads((tmp_path / "e" / "training.json").read_text())
    assert record["plan"]["max_length"] == LENGTH
    assert [plan.fitted(limit).max_length for limit in (None, 1536, 4096)] == [512, 1536, 4096]


def test_what_training_refuses(trained, corpus, tmp_path):
    out, _ = trained
    with pytest.raises(FoldwiseError, match=r"training\.jsonl is missing"):
        finetune_entities(out / "checkpoint-8", tmp_path, PLAN, tmp_path / "e")
    with pytest.raises(FoldwiseError, match="above the model's"):
        finetune_entities(
            out / "checkpoint-8", corpus, replace(PLAN, max_length=500), tmp_path / "e"
        )
    with pytest.raises(FoldwiseError, match="heads do not divide"):
        pretrain(corpus / "training.jsonl", replace(SIZE, heads=3), None, PLAN, tmp_path / "m")
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"text": "경찰이 왔다."}\n')
    with pytest.raises(FoldwiseError, match="line 1 is no tagged text"):
        read_tagged_texts(plain)
    wild = replace(PLAN, lr=1e30, steps=30, save_every=30)
    with pytest.raises(FoldwiseError, match="the loss is"):
        pretrain(corpus / "training.jsonl", SIZE, None, wild, tmp_path / "m")
    lone = TaggedText("a", "비가 온다.", (), ((0, 1),))
    assert (
        ExampleMaker(load_masked_model(out / "checkpoint-8").tokenizer, [lone], 9).second_mentions(
            lone
        )
        == []
    )
