"""Checkpoint folders that cannot be evaluated: each says what is wrong in one line."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel, GPT2Config, GPT2LMHeadModel, RobertaConfig

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.model_folder import load_masked_model, sequence_length
from foldwise.mlm.evaluation.positions import max_positions
from mlm_models import LENGTH, small_bert


@pytest.fixture
def folder(model_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model_folder, copy)
    return copy


def message(folder):
    with pytest.raises(FoldwiseError) as caught:
        load_masked_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_such_folder(tmp_path):
    assert "no such folder" in message(tmp_path / "none")


def test_no_config(folder):
    (folder / "config.json").unlink()
    assert "config.json: the file does not exist" in message(folder)


def test_no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer" in message(folder)


def test_a_broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{}")
    assert "the tokenizer cannot be loaded" in message(folder)


def test_no_mask_token(folder):
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        if path.exists():
            value = json.loads(path.read_text())
            value.pop("mask_token", None)
            path.write_text(json.dumps(value))
    assert "has no mask token" in message(folder)


def test_a_causal_model(tokenizer, tmp_path):
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=20)).save_pretrained(
        tmp_path
    )
    tokenizer.save_pretrained(tmp_path)
    assert "GPT2LMHeadModel is no masked language model" in message(tmp_path)


def test_a_model_without_its_head(tokenizer, tmp_path):
    BertModel(small_bert(len(tokenizer))).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "weights are missing, the first is cls.predictions" in message(tmp_path)


def test_weights_of_another_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    assert "do not fit the config" in message(folder)


def test_no_safetensors(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert "model.safetensors is missing" in message(folder)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "truncated" in message(folder)
    path.write_bytes(b"")
    assert "truncated" in message(folder)


def test_nan_weights(folder):
    state = load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.1.output.dense.weight"
    state[name][3, 4] = float("nan")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert f"the weight {name} holds NaN" in message(folder)


def test_sequence_lengths(model_folder):
    loaded = load_masked_model(model_folder)
    assert sequence_length(loaded, None, "here") == LENGTH
    assert sequence_length(loaded, 32, "here") == 32
    for wrong in (LENGTH + 1, 4, 0, -3):
        with pytest.raises(FoldwiseError, match="outside of what the model allows"):
            sequence_length(loaded, wrong, "here")


def test_the_identity_is_of_the_content(model_folder, folder):
    first = load_masked_model(model_folder).identity
    assert load_masked_model(folder).identity == first
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": "elsewhere"}))
    assert load_masked_model(folder).identity == first
    state = load_file(folder / "model.safetensors")
    state["bert.embeddings.LayerNorm.bias"] += 1e-3
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_masked_model(folder).identity != first


def test_positions_of_roberta_start_behind_the_padding():
    assert max_positions(RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert max_positions(small_bert(10)) == LENGTH
