"""Folders of `datasets.save_to_disk`: its layout, written with pyarrow."""

import json

import pyarrow as pa
import pytest

from foldwise.mlm.texts.saved_dataset import read_saved_dataset
from foldwise.mlm.texts.text import read_texts
from foldwise.mlm.training.job import finetune_entities
from mlm_models import PLAN
from refusals import message


def save(folder, columns, files=2):
    """Arrow streams `data-…`, and a state.json that names them."""
    folder.mkdir(parents=True)
    table = pa.table(columns)
    names = [f"data-{at:05d}-of-{files:05d}.arrow" for at in range(files)]
    size = -(-len(table) // files)
    for at, name in enumerate(names):
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table.slice(at * size, size))
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    return folder


@pytest.fixture
def texts(corpus):
    return [text.text for text in read_texts(corpus / "training.jsonl")][:60]


def test_padded_tokens_become_texts_again(texts, tokenizer, tmp_path):
    masked = [text.replace("국회", "[MASK]", 1) for text in texts]
    encoded = tokenizer(masked, padding="max_length", truncation=True, max_length=96)
    folder = save(tmp_path / "entity_coref_v2_96", dict(encoded))
    found = [one.text for part in read_saved_dataset(folder, tokenizer, 1) for one in part]
    again = {tuple(tokenizer(text)["input_ids"][:96]) for text in found}
    unpadded = {tuple(token for token in row if token) for row in encoded["input_ids"]}
    assert len(again & unpadded) > 0.9 * len(unpadded)
    assert any("[MASK]" in text for text in found)


def test_splits_targets_and_repeated_texts(texts, tokenizer, tmp_path):
    folder = tmp_path / "saved"
    save(folder / "train", {"text": ["어제 [MASK]을 보았다.", texts[0]], "target": ["구름", None]})
    save(folder / "validation", {"text": [texts[1], texts[0]]})
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    training, heldout = read_saved_dataset(folder, tokenizer, 1)
    assert [one.text for one in training] == ["어제 구름을 보았다.", texts[0]]
    assert [one.text for one in heldout] == [texts[1]]
    assert [training[0].text[start:end] for start, end in training[0].nouns] == ["구름"]


def test_fine_tuning_takes_such_a_folder(texts, model_folder, tokenizer, tmp_path):
    folder = save(tmp_path / "saved", dict(tokenizer(texts, truncation=True, max_length=96)))
    record = finetune_entities(model_folder, folder, PLAN, tmp_path / "out")
    assert record["steps"] == PLAN.steps
    assert len(record["texts_sha256"]) == 64
    assert record["n_texts"] + record["n_heldout_texts"] <= len(texts)
    assert record["n_heldout_texts"] > 0


def test_bad_folders_are_one_line(texts, tokenizer, tmp_path):
    def said(folder):
        return message(read_saved_dataset, folder, tokenizer, 1)

    assert "beyond the checkpoint" in said(save(tmp_path / "a", {"input_ids": [[1, 10**6]]}, 1))
    assert "input_ids" in said(save(tmp_path / "b", {"label": [1, 2]}, 1))
    folder = save(tmp_path / "c", {"text": texts})
    (folder / "data-00001-of-00002.arrow").write_bytes(b"half")
    assert "truncated" in said(folder)
    (folder / "data-00001-of-00002.arrow").unlink()
    assert "is missing" in said(folder)
