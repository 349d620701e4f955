"""What goes wrong without a word in other trainings is said, counted or impossible here."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from transformers import TrainingArguments

from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.job import pretrain
from foldwise.mlm.training.masking import IGNORED, Masked, collate
from foldwise.mlm.training.trainer import _effective_batch_size
from mlm_models import PLAN, SIZE
from paths import REPOSITORY

SHORT = 40


@pytest.fixture(scope="module")
def said(corpus, tmp_path_factory):
    """A training whose model allows fewer tokens than many texts have: record, lines, model."""
    out = tmp_path_factory.mktemp("short")
    plan = replace(PLAN, max_length=SHORT, steps=3, save_every=3)
    with pytest.MonkeyPatch.context() as patch, (out / "log").open("w+") as log:
        patch.setattr("sys.stderr", log)
        record = pretrain(corpus / "training.jsonl", SIZE, None, plan, out)
        log.seek(0)
        lines = log.read().splitlines()
    return record, lines, out / "checkpoint-3"


def test_texts_that_are_cut_are_counted_and_said_once(said, corpus):
    record, lines, checkpoint = said
    tokenizer = load_masked_model(checkpoint).tokenizer
    texts = read_tagged_texts(corpus / "training.jsonl")
    lengths = [len(tokenizer(text.text)["input_ids"]) for text in texts]
    cut = sum(length > SHORT for length in lengths)
    assert record["n_cut_texts"] == cut > 10
    told = [line for line in lines if "texts are longer than" in line]
    assert len(told) == 1
    assert f"{cut} of {len(texts)} texts are longer than {SHORT} tokens" in told[0]
    assert f"the longest has {max(lengths)}" in told[0]


def test_the_effective_batch_size_is_said_at_the_start(said, tmp_path):
    record, lines, _ = said
    assert f"effective batch size {PLAN.batch_size}," in lines[0]
    assert record["effective_batch_size"] == PLAN.batch_size
    given = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=4, gradient_accumulation_steps=3,
        report_to=[],
    )  # fmt: skip
    assert _effective_batch_size(given) == given.train_batch_size * 3


def test_every_step_says_its_loss_its_rate_and_the_time_left(said):
    steps = [line for line in said[1] if " step " in line]
    assert len(steps) == 3
    assert "lr" in steps[0]
    rates = [float(re.search(r"lr (\S+)", line)[1]) for line in steps]
    # One step of warm-up from zero, then linearly down.
    assert rates == pytest.approx([0.0, PLAN.lr, PLAN.lr / 2])
    assert all(re.search(r"s/step  elapsed .* ETA", line) for line in steps)
    losses = [float(re.search(r"loss (\S+)", line)[1]) for line in steps]
    assert losses == pytest.approx(
        list(pd.read_csv(said[2].parent / "history.csv")["loss"]), abs=1e-4
    )
    assert sum("memory:" in line for line in said[1]) == 1


def test_a_batch_is_padded_to_its_longest_sequence_and_no_further():
    batch = collate([Masked([1] * 7, [IGNORED] * 7), Masked([1] * 3, [IGNORED] * 3)], 0, 9)
    assert batch["input_ids"].shape == (2, 7)


def test_a_batch_in_which_chance_hides_nothing_has_a_loss():
    rows = [Masked([1, 5, 6, 7, 2], [IGNORED] * 5), Masked([1, 2], [IGNORED] * 2)]
    batch = collate(rows, padding=0, mask=9)
    assert batch["input_ids"].tolist() == [[1, 5, 9, 7, 2], [1, 2, 0, 0, 0]]
    assert batch["labels"][0].tolist() == [IGNORED, IGNORED, 6, IGNORED, IGNORED]
    assert set(batch["labels"][1].tolist()) == {IGNORED}
    assert rows[0].labels == [IGNORED] * 5


def test_nothing_is_learnt_from_padding_even_where_its_entry_means_something():
    """As with a tokenizer whose padding is the end of a text."""
    end = 3
    batch = collate([Masked([1, 2, end, 4], [1, 2, end, 4]), Masked([5, end], [5, end])], end, 9)
    assert batch["input_ids"][1].tolist() == [5, end, end, end]
    assert batch["labels"][1].tolist() == [5, end, IGNORED, IGNORED]
    assert batch["attention_mask"][1].tolist() == [1, 1, 0, 0]


def test_no_model_is_spread_over_devices_behind_the_users_back(said):
    model = load_masked_model(said[2]).model
    assert {weight.device for weight in model.parameters()} == {torch.device("cpu")}
    sources = (REPOSITORY / "scripts").rglob("*.py")
    assert not [path for path in sources if "device_map" in path.read_text()]
