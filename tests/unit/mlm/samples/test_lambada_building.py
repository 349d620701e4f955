"""Ko-LAMBADA from own texts: answerable from the passage, not from its last sentence."""

import json

import pytest

from foldwise.common.files import file_sha256, read_json
from foldwise.mlm.samples.lambada import read_lambada
from foldwise.mlm.samples.lambada_building import PassageRules, build_passages
from foldwise.mlm.samples.lambada_files import write_lambada
from foldwise.mlm.texts.text import Text, read_texts
from refusals import message

RULES = PassageRules(min_context_chars=10)


def found(*texts, rules=RULES):
    named = [Text(f"t{number}", "own", "CC0-1.0", text) for number, text in enumerate(texts)]
    return build_passages(named, rules)


ASKED = "경찰은 어젯밤 도서관 앞에서 사고를 조사하였다. 오늘 아침에는 시민들이 도서관에 모였다."


def test_the_last_noun_of_the_last_sentence_is_asked():
    (passage,) = found(ASKED).passages
    assert passage.answer == "도서관"
    assert passage.text == ASKED[::-1].replace("관서도", "_", 1)[::-1]
    assert passage.text.count("_") == 1
    assert "경찰" in passage.candidate
    assert "도서관" not in passage.candidate


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("경찰은 어젯밤 사고를 조사하였다. 오늘 아침에는 시민들이 도서관에 모였다.",),
         "not answerable from the passage"),
        (("경찰은 어젯밤 도서관 앞에서 조사하였다. 오늘 도서관 옆의 작은 도서관에 모였다.",),
         "the noun stands there twice"),
        ((ASKED, "비가 오는 날이면 동네 시민들이 도서관에 간다."),
         "the word behind it gives it away|the word before it gives it away"),
        (("시민들이 도서관에 모였다.",), "fewer than 10 characters"),
        (("경찰은 어젯밤 도서관 앞에서 조사하였다. 그리고 곧 돌아갔다.",),
         "no noun of two syllables as a word of its own"),
    ],
)  # fmt: skip
def test_each_filter_rejects_and_is_counted(texts, reason):
    outcome = found(*texts)
    assert not [one for one in outcome.passages if one.text_id == "t0"]
    assert any(part in key for key in outcome.filters for part in reason.split("|"))


def test_the_passages_own_words_do_not_count_as_hints():
    """The same words stand in the passage itself: they are what is to be understood."""
    text = "시민들이 도서관에 모였다. 경찰도 왔다. 오늘 아침에도 시민들이 도서관에 모였다."
    assert [one.answer for one in found(text).passages] == ["도서관"]


def test_of_real_texts_every_row_keeps_what_the_rules_promise(corpus, tmp_path):
    texts = read_texts(corpus / "evaluation.jsonl")
    outcome = build_passages(texts, PassageRules())
    path = tmp_path / "law.jsonl"
    card = write_lambada(path, outcome, texts, PassageRules(), "konlpy")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert card["n_passages"] == len(rows) == len(outcome.passages) > 4
    assert card["sha256"] == file_sha256(path) == read_lambada(path).sha256
    assert read_json(tmp_path / "law.card.json") == card
    for row in rows:
        before, after = row["text"].split("_")
        assert row["answer"] in before
        assert row["answer"] not in after
        assert row["answer"] not in row["candidate"].split("|")
        assert row["license"] == "no copyright (Korean Copyright Act, article 7)"
    judged = card["n_passages"] + sum(one["count"] for one in card["filters"])
    assert judged == card["n_sentences"]
    sample = (tmp_path / "law.sample.txt").read_text()
    assert sample.count("answer: ") == min(20, len(rows))
    again = build_passages(list(reversed(texts)), PassageRules())
    assert {one.id for one in again.passages} == {one.id for one in outcome.passages}


def test_texts_without_a_passage_are_refused(tmp_path):
    texts = [Text("a", "own", "CC0-1.0", "비가 온다.")]
    said = message(
        write_lambada, tmp_path / "x.jsonl", build_passages(texts, RULES), texts, RULES, "own"
    )
    assert "none of 1 texts gives a passage" in said
