"""Ko-LAMBADA files: blanks, and bad rows."""

import json

import pytest

from foldwise.mlm.samples.lambada import read_lambada
from refusals import message


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
        ({"text": "국가는 법률로 정한다", "answer": "법률"}, "row 1"),
        ([], "row 1 has 0 blanks"),
    ],
)
def test_bad_lambada_rows(tmp_path, row, said):
    path = tmp_path / "lambada.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert said in message(read_lambada, path)
    path.write_text("")
    assert "holds no row" in message(read_lambada, path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"text": ' + "9" * 5_000 + "}"])
def test_impossible_json_is_one_line(tmp_path, content):
    (tmp_path / "deep.jsonl").write_text(content)
    assert "deep.jsonl" in message(read_lambada, tmp_path / "deep.jsonl")
    (tmp_path / "junk.parquet").write_bytes(content.encode())
    assert "junk.parquet" in message(read_lambada, tmp_path / "junk.parquet")
