"""Coreference samples: the definition, the caps, and what does not matter."""

import pytest

from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.texts.text import Text, read_texts, windows
from paths import SHARED

KOREAN = SHARED / "korean"


def found(*texts, **rules):
    made = [Text(f"t{at}", "test", "none", text) for at, text in enumerate(texts)]
    return build_samples(made, SampleRules(min_chars=5, **rules))


def reasons(result):
    return {rejection.noun: rejection.reason for rejection in result.rejections}


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ("경찰이 서울에서 범인을 잡았고 경찰은 발표했다.", "particle"),
        ("경찰이 서울에서 범인을 잡았고 어제 경찰 발표가 있었다.", "nothing"),
        ("경찰이 서울에서 범인을 잡았고, 검찰, 경찰, 법원이 모였다.", "punctuation"),
        ("경찰이 서울에서 범인을 잡았고 발표한 곳은 경찰이다.", "copula"),
    ],
)
def test_the_second_mention_is_the_sample(text, follows):
    (sample,) = found(text).samples
    assert (sample.noun, sample.follows) == ("경찰", follows)
    assert sample.text[sample.start : sample.end] == "경찰" == sample.text[: sample.first_end]
    assert sample.start > sample.first_start


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("경찰이 서울에서 범인을 잡았고 경찰서에 넘겼다가 경찰청이 발표했다.", None),
        ("공부가 어렵다고 느낀 동생은 도서관에서 공부했다.", "suffix"),
        ("선거가 열리면 정부는 대통령선거 결과를 발표한다.", "start of an eojeol"),
        ("국민이 뽑은 의원은 국민투표 결과를 따른다.", "compound"),
    ],
)
def test_other_uses_of_the_noun_are_no_samples(text, reason):
    result = found(text)
    assert not result.samples
    if reason:
        assert any(reason in why for why in reasons(result).values())


def test_a_text_with_a_pronoun_gives_nothing():
    result = found("경찰이 범인을 잡았고 그는 경찰을 만났다.")
    assert not result.samples
    assert result.rejections[0].reason == "it has a pronoun"


def test_a_third_mention_and_the_distance_are_recorded():
    (sample,) = found("경찰이 왔다. 오늘 낮에 경찰은 떠났다. 밤에는 경찰도 쉰다.").samples
    assert (sample.mentions_after, sample.distance, sample.noun_count) == (1, 4, 3)
    assert sample.floor[0] == "경찰"


def test_the_same_text_counts_once():
    result = found(*["경찰이 왔다가 오늘 경찰은 떠났다."] * 3)
    assert len(result.samples) == 1
    assert result.rejection_counts() == [("text", "the same text was seen before", 2)]


def test_caps_leave_their_reason(corpus):
    texts = read_texts(corpus / "evaluation.jsonl")
    free = build_samples(texts, SampleRules(per_text=99, per_noun=99))
    capped = build_samples(texts, SampleRules(per_text=1, per_noun=2, max_samples=20))
    nouns = [sample.noun for sample in capped.samples]
    assert len(capped.samples) == 20
    assert len({sample.text_id for sample in capped.samples}) == 20
    assert max(nouns.count(noun) for noun in nouns) <= 2
    assert {sample.id for sample in capped.samples} < {sample.id for sample in free.samples}


def test_counts_in_are_counts_out(corpus):
    result = build_samples(read_texts(corpus / "evaluation.jsonl"), SampleRules())
    nouns = sum(rejection.noun != "" for rejection in result.rejections)
    assert result.n_candidates == len(result.samples) + nouns
    whole = {rejection.text_id for rejection in result.rejections if not rejection.noun}
    asked = {sample.text_id for sample in result.samples}
    judged = {rejection.text_id for rejection in result.rejections if rejection.noun}
    assert len(whole | asked | judged) == result.n_texts
    assert not whole & (asked | judged)


@pytest.mark.slow  # buys: processes change no sample
def test_order_and_workers_do_not_matter(corpus):
    texts = read_texts(corpus / "evaluation.jsonl")
    one = build_samples(texts, SampleRules(per_text=1), workers=1)
    two = build_samples(texts, SampleRules(per_text=1), workers=2)
    back = build_samples(texts[::-1], SampleRules(per_text=1), workers=1)
    assert one == two
    assert {sample.id for sample in one.samples} == {sample.id for sample in back.samples}


def test_long_texts_are_cut_between_sentences():
    text = "\n".join(
        f"{number}번째 문장은 여기에서 끝난다. 다음 문장도 있다." for number in range(9)
    )
    pieces = windows(text, 80)
    assert all(len(piece) <= 80 for piece in pieces)
    assert " ".join(pieces).split() == text.split()
    assert windows(text, 10_000) == [text]


@pytest.mark.slow  # buys: real sentences, and a floor that is known
@pytest.mark.skipif(not KOREAN.exists(), reason="the shared Korean texts are not here")
def test_news_sentences_give_samples_with_the_known_floor():
    """The notes measured 0.21 / 0.71 for the most frequent visible noun on news sentences."""
    result = build_samples(read_texts(KOREAN / "klue_ner.jsonl.gz"), SampleRules())
    first = sum(sample.noun in sample.floor[:1] for sample in result.samples)
    five = sum(sample.noun in sample.floor for sample in result.samples)
    assert len(result.samples) > 100
    assert first / len(result.samples) == pytest.approx(0.21, abs=0.1)
    assert five / len(result.samples) == pytest.approx(0.71, abs=0.12)
