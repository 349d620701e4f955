"""Reading texts, sample files and Ko-LAMBADA: what is accepted, and what each mistake says."""

import gzip
import json

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import card_path, read_samples, write_samples
from foldwise.mlm.samples.lambada import read_lambada
from foldwise.mlm.texts.corpus import PARTS, read_corpus, split_corpus
from foldwise.mlm.texts.embedded import embedded_texts
from foldwise.mlm.texts.overlap import all_phrases, overlap_table, phrases
from foldwise.mlm.texts.text import Text, read_texts

LINE = json.dumps({"id": "a", "source": "s", "license": "l", "text": "경찰이 왔다."})


def message(function, *arguments):
    with pytest.raises(FoldwiseError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_texts_are_composed_and_unpacked(tmp_path):
    decomposed = json.dumps({"text": "\u1100\u1161"}, ensure_ascii=False)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(f"{LINE}\n\n{decomposed}\n".encode()))
    first, second = read_texts(tmp_path / "a.jsonl.gz")
    assert first == Text("a", "s", "l", "경찰이 왔다.")
    assert (second.text, second.id, second.source) == ("가", "a/000003", "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no text"),
        (b"\n\n", "holds no text"),
        (f"{LINE}\n{{broken\n".encode(), "line 2 is no valid JSON"),
        (b'{"id": 1}\n', "line 1 has no text"),
        (b"[1]\n", "line 1 has no text"),
        (f"{LINE}\n".encode() + "{'text': '경찰'}".encode("cp949"), "line 2 is not UTF-8"),
        (f"{LINE}\n{LINE}\n".encode(), "'a' stands there twice"),
    ],
)
def test_bad_text_files(tmp_path, content, said):
    (tmp_path / "a.jsonl").write_bytes(content)
    assert said in message(read_texts, tmp_path / "a.jsonl")


def test_missing_and_truncated_files(tmp_path):
    assert "does not exist" in message(read_texts, tmp_path / "a.jsonl")
    packed = gzip.compress(LINE.encode() * 100)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    assert "truncated" in message(read_texts, tmp_path / "a.jsonl.gz")


def test_a_changed_sample_file_is_refused(sample_file, tmp_path):
    for path in (sample_file, card_path(sample_file)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy = tmp_path / sample_file.name
    assert read_samples(copy).samples
    copy.write_text(copy.read_text().replace("국회", "정부", 1))
    assert "is not the one of its card" in message(read_samples, copy)
    card_path(copy).unlink()
    assert "does not exist" in message(read_samples, copy)


def test_two_builds_have_the_same_bytes(corpus, sample_file, tmp_path):
    texts = read_texts(corpus / "evaluation.jsonl")
    again = tmp_path / sample_file.name
    write_samples(again, build_samples(texts, SampleRules(), 2), texts, SampleRules(), "konlpy")
    for first in sample_file.parent.iterdir():
        assert first.read_bytes() == (tmp_path / first.name).read_bytes(), first.name


def test_texts_without_samples_are_refused(tmp_path):
    texts = [Text("a", "s", "l", "비가 오고 바람이 부는 날이었다고 한다.")]
    result = build_samples(texts, SampleRules())
    said = message(write_samples, tmp_path / "a.jsonl", result, texts, SampleRules(), "test")
    assert "none of 1 texts gives a sample" in said


def test_parts_share_no_phrase(corpus):
    parts = {part: read_texts(corpus / f"{part}.jsonl") for part in PARTS}
    asked = [(text.id, text.text) for text in parts["evaluation"]]
    assert overlap_table(asked, parts["training"]).empty
    assert overlap_table(asked, parts["heldout"]).empty
    assert all_phrases(parts["training"]).isdisjoint(all_phrases(parts["heldout"]))


def test_an_overlap_is_found():
    words = [f"낱말{number}" for number in range(20)]
    training = [Text("t", "s", "l", " ".join(words[5:]))]
    table = overlap_table([("e", " ".join(words[:15])), ("f", "다른 글")], training)
    assert table.to_dict("records") == [
        {"text_id": "e", "training_text_id": "t", "shared_phrases": 3, "share": 3 / 8}
    ]
    assert phrases("짧은 글") == {("짧은", "글")}


def test_parts_do_not_depend_on_order():
    texts = embedded_texts("kolaw")
    shares = {"evaluation": 0.5, "heldout": 0.2, "training": 0.3}
    parts, _ = split_corpus(texts, shares, seed=1)
    back, _ = split_corpus(texts[::-1], shares, seed=1)
    for part in PARTS:
        assert {text.id for text in parts[part]} == {text.id for text in back[part]}
    few, _ = split_corpus(texts, shares, seed=1, max_texts=40)
    assert sum(len(own) for own in few.values()) <= 40
    with pytest.raises(FoldwiseError, match="no text is left"):
        split_corpus(texts[:1], shares, seed=1)


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


def test_blanks_of_a_lambada_file(tmp_path):
    rows = [
        {"index": 0, "text": "어제 _를 샀다.", "answer": "사과", "candidate": "사과|배"},
        {"index": 1, "text": "그가 마침내 산 것은 자동차.", "answer": ""},
        {"index": 2, "text": "마지막 낱말은 “바다”!", "answer": "바다"},
    ]
    path = tmp_path / "lambada.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third = read_lambada(path).blanks
    assert (first.before, first.after, first.answer) == ("어제 ", "를 샀다.", "사과")
    assert (second.before, second.answer, second.after) == ("그가 마침내 산 것은 ", "자동차", ".")
    assert (second.last_word, third.answer) == (True, "바다")
    (tmp_path / "a.csv").write_text("index,text,answer\n0,어제 _를 샀다.,사과\n")
    assert read_lambada(tmp_path / "a.csv").blanks[0].answer == "사과"
    assert read_lambada(tmp_path / "none.jsonl") is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "_ 와 _ 를", "answer": "가"}, "row 1 has 2 blanks"),
        ({"text": "어제 _를", "answer": ""}, "row 1 has 1 blanks"),
        ({"text": "", "answer": "가"}, "row 1 has 0 blanks"),
        ([], "row 1 has 0 blanks"),
    ],
)
def test_bad_lambada_rows(tmp_path, row, said):
    path = tmp_path / "lambada.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert said in message(read_lambada, path)
    path.write_text("")
    assert "holds no row" in message(read_lambada, path)
