"""Files of texts: what is read, and what each mistake says."""

import gzip
import json

import pytest

from foldwise.mlm.texts.text import Text, read_texts
from refusals import message

LINE = json.dumps({"id": "a", "source": "s", "license": "l", "text": "경찰이 왔다."})


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
