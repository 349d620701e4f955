"""Texts of the Hugging Face hub."""

import random

import pandas as pd
import pytest

from foldwise.mlm.samples.lambada import read_lambada
from foldwise.mlm.texts.corpus import read_corpus
from refusals import message


def test_the_hub_is_named_when_it_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")

    def unreachable(*_, **__):
        raise ConnectionError("connection refused")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    said = message(read_corpus, ["hf://wikimedia/wikipedia/20231101.ko/*.parquet"])
    assert "cannot be reached" in said
    assert "hf download --repo-type dataset wikimedia/wikipedia --include '20231101.ko/" in said
    assert "names no dataset" in message(read_corpus, ["hf://wikimedia"])
    said = message(read_lambada, "hf://thunder-research-group/SNU_Ko-LAMBADA")
    assert "HF_TOKEN" in said


@pytest.fixture
def dataset(monkeypatch, tmp_path):
    """A local folder in place of the hub's."""
    monkeypatch.setattr("foldwise.mlm.texts.hub.snapshot", lambda *_: tmp_path)
    return tmp_path


def test_texts_of_the_hub(dataset):
    (dataset / "ner").mkdir()
    table = pd.DataFrame({"sentence": ["<이순신:PS>은 장군이다.", "비가 온다."]})
    for name in ("validation-0", "train-0"):
        table.to_parquet(dataset / "ner" / f"{name}.parquet")
    texts = read_corpus(["hf://klue/klue/ner/validation-*.parquet"])
    assert [text.text for text in texts] == ["이순신은 장군이다.", "비가 온다."]
    assert texts[0].id == "klue/klue/ner/validation-0.parquet/0"
    assert len(read_corpus(["hf://klue/klue"])) == 4
    assert "no file matches" in message(read_corpus, ["hf://klue/klue/dp/*.parquet"])


def test_ko_lambada_of_the_hub_is_drawn_as_behind_the_baseline(dataset):
    """Oracle: the draw as the notes tell it, 600 rows of the validation part by seed 42."""
    rows = [{"text": f"{at} 번째 _ 이다.", "answer": "사과"} for at in range(900)]
    pd.DataFrame(rows).to_parquet(dataset / "validation-0.parquet")
    pd.DataFrame(rows[:5]).to_parquet(dataset / "test-0.parquet")
    (dataset / "README.md").write_text("a card")
    found = read_lambada("hf://thunder-research-group/SNU_Ko-LAMBADA")
    order = list(range(900))
    random.Random(42).shuffle(order)
    assert [blank.before for blank in found.blanks] == [f"{at} 번째 " for at in order[:600]]
    assert len({blank.id for blank in found.blanks}) == 600
    assert read_lambada("hf://thunder-research-group/SNU_Ko-LAMBADA").sha256 == found.sha256
