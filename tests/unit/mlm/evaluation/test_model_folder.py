"""Checkpoint folders that cannot be evaluated: each says what is wrong in one line."""

import json
import shutil
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertModel, GPT2Config, GPT2LMHeadModel, RobertaConfig

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


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": "flash_attention_3"},
    ],
)
def test_settings_that_need_other_packages_are_refused_or_left_alone(folder, changes):
    change_config(folder, **changes)
    with suppress(FoldwiseError):
        load_masked_model(folder)
        assert "quantization_config" not in changes


def test_code_of_a_folder_is_never_run(folder):
    (folder / "evil.py").write_text("open('/tmp/foldwise_evil', 'w')\nraise SystemExit(9)\n")
    change_config(folder, auto_map={"AutoModelForMaskedLM": "evil.Model", "AutoConfig": "evil.C"})
    load_masked_model(folder)


@pytest.mark.parametrize(
    "name", ["../other.safetensors", "/tmp/other.safetensors", "a/b.safetensors"]
)
def test_an_index_stays_in_its_folder(folder, name):
    (folder / "model.safetensors").rename(folder / "moved.safetensors")
    index = {"weight_map": {"w": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model.safetensors.index.json" in message(folder)


def test_an_index_next_to_the_weights_changes_no_identity(folder):
    """Transformers reads the one file; other weights in it are another model."""
    own = load_masked_model(folder).identity
    index = {"weight_map": {"w": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert load_masked_model(folder).identity == own
    weights = load_file(folder / "model.safetensors")
    first = next(iter(weights))
    save_file(weights | {first: weights[first] + 1}, folder / "model.safetensors", {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "other"}}')
    assert load_masked_model(folder).identity != own


def test_tokens_beyond_the_embedding_are_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["새말하나", "새말둘"])
    tokenizer.save_pretrained(folder)
    assert str(len(tokenizer)) in message(folder)
