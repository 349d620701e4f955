"""Sample files and their cards."""

import pytest

from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import card_path, read_samples, write_samples
from foldwise.mlm.texts.text import Text, read_texts
from refusals import message


def test_a_changed_sample_file_is_refused(sample_file, tmp_path):
    for path in (sample_file, card_path(sample_file)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy = tmp_path / sample_file.name
    assert read_samples(copy).samples
    copy.write_text(copy.read_text().replace("국회", "정부", 1))
    assert "is not the one of its card" in message(read_samples, copy)
    card_path(copy).unlink()
    assert "does not exist" in message(read_samples, copy)


@pytest.mark.slow  # buys: the program as the rule calls it, twice
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
