"""Texts of the Hugging Face hub."""

import pandas as pd

from foldwise.mlm.texts.corpus import read_corpus
from refusals import message


def test_the_hub_is_named_when_it_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")

    def unreachable(*_, **__):
        raise ConnectionError("connection refused")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", unreachable)
    said = message(read_corpus, ["hf://wikimedia/wikipedia/20231101.ko/*.parquet"])
    assert "cannot be reached" in said
    assert "local JSON-lines files" in said
    assert "no file pattern" in message(read_corpus, ["hf://wikimedia/wikipedia"])


def test_texts_of_the_hub(monkeypatch, tmp_path):
    local = tmp_path / "validation-0.parquet"
    pd.DataFrame({"sentence": ["<이순신:PS>은 장군이다.", "비가 온다."]}).to_parquet(local)
    files = ["ner/validation-0.parquet", "ner/train-0.parquet", "README.md"]
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda *_, **__: files)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(local))
    texts = read_corpus(["hf://klue/klue/ner/validation-*.parquet"])
    assert [text.text for text in texts] == ["이순신은 장군이다.", "비가 온다."]
    assert texts[0].id == "klue/klue/ner/validation-0.parquet/0"
    assert "no file matches" in message(read_corpus, ["hf://klue/klue/dp/*.parquet"])
