"""Folders whose position matrices have other rows than the config names."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import (
    BertForMaskedLM,
    DebertaConfig,
    DebertaForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.model_folder import load_masked_model, sequence_length
from foldwise.mlm.training.job import pretrain
from mlm_models import LENGTH, PLAN, SIZE, lengthened_deberta, small_bert, small_deberta


def logits(model, size):
    ids = torch.randint(5, size, (2, 90), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def saved(model, tokenizer, folder, **config):
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


@pytest.mark.parametrize("legacy", [True, False])
def test_a_lengthened_deberta_gives_the_logits_of_its_whole_matrix(
    tokenizer, tmp_path, capsys, legacy
):
    whole = lengthened_deberta(tmp_path, tokenizer, 1536, legacy=legacy)
    loaded = load_masked_model(tmp_path)
    expected = logits(whole, len(tokenizer))
    assert torch.equal(logits(loaded.model, len(tokenizer)), expected)
    assert torch.equal(logits(load_masked_model(tmp_path).model, len(tokenizer)), expected)
    assert sequence_length(loaded, None, "here") == 1536
    (note,) = loaded.notes
    assert "1536" in note
    assert "32" in note
    assert capsys.readouterr().err.count(note) == 2


def test_the_length_of_a_deberta_follows_its_rows_and_has_no_limit(tokenizer, tmp_path):
    model = lengthened_deberta(tmp_path, tokenizer, 256)
    saved(model, tokenizer, tmp_path, max_position_embeddings=LENGTH, max_relative_positions=256)
    loaded = load_masked_model(tmp_path)
    assert (loaded.max_length, loaded.limit) == (256, None)
    assert sequence_length(loaded, 4096, "here") == 4096


def test_surplus_rows_of_absolute_positions_are_left_out(tokenizer, tmp_path):
    size = len(tokenizer)
    torch.manual_seed(0)
    bert = BertForMaskedLM(small_bert(size, max_position_embeddings=256))
    options = {**small_bert(size).to_dict(), "max_position_embeddings": 258, "pad_token_id": 0}
    roberta = RobertaForMaskedLM(RobertaConfig(**options))
    for model, length, positions in ((bert, 96, 96), (roberta, 96, 97)):
        folder = tmp_path / model.config.model_type
        saved(model, tokenizer, folder, max_position_embeddings=positions)
        loaded = load_masked_model(folder)
        assert (loaded.max_length, loaded.limit) == (length, length)
        assert torch.equal(logits(loaded.model, size), logits(model, size))
        assert "max_position_embeddings" in loaded.notes[0]


def test_the_older_deberta_too(tokenizer, tmp_path):
    size = len(tokenizer)
    options = small_deberta(size).to_dict() | {"max_relative_positions": 32}
    torch.manual_seed(0)
    model = DebertaForMaskedLM(DebertaConfig(**options)).eval()
    expected = logits(model, size)
    rows = model.deberta.encoder.rel_embeddings.weight.data
    model.deberta.encoder.rel_embeddings = torch.nn.Embedding(200, 32)
    model.deberta.encoder.rel_embeddings.weight.data[:64] = rows
    loaded = load_masked_model(saved(model, tokenizer, tmp_path))
    assert torch.equal(logits(loaded.model, size), expected)


@pytest.mark.parametrize(
    ("kind", "key", "asked", "numbers"),
    [
        ("bert", "max_position_embeddings", 512, ("96", "512")),
        ("deberta", "position_buckets", 48, ("32", "96")),
    ],
)
def test_a_config_beyond_the_rows_is_refused_with_the_remedy(
    tokenizer, tmp_path, kind, key, asked, numbers
):
    if kind == "bert":
        model = BertForMaskedLM(small_bert(len(tokenizer)))
    else:
        model = lengthened_deberta(tmp_path, tokenizer, 32)
    saved(model, tokenizer, tmp_path, **{key: asked})
    with pytest.raises(FoldwiseError) as caught:
        load_masked_model(tmp_path)
    text = str(caught.value)
    assert all(number in text for number in numbers)
    assert f"Set {key} to {16 if kind == 'deberta' else 96}" in text
    assert "\n" not in text


def test_a_training_goes_on_from_a_lengthened_folder(corpus, tokenizer, tmp_path):
    """What it writes has the rows that are read, and loads without a note."""
    lengthened_deberta(tmp_path / "start", tokenizer, 256)
    plan = replace(PLAN, steps=2, save_every=2, max_length=64)
    pretrain(corpus / "training.jsonl", SIZE, tmp_path / "start", plan, tmp_path / "out")
    loaded = load_masked_model(tmp_path / "out" / "checkpoint-2")
    assert loaded.notes == ()
    assert len(loaded.model.deberta.encoder.rel_embeddings.weight) == 32
