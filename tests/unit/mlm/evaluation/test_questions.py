"""Samples as questions: what is masked, and which window a model sees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.mlm.evaluation.questions import QuestionMaker, _window
from foldwise.mlm.evaluation.surfaces import read_surfaces
from mlm_models import LENGTH


@pytest.fixture(scope="module")
def maker(tokenizer):
    return QuestionMaker(tokenizer, read_surfaces(tokenizer), LENGTH)


def test_the_mask_replaces_exactly_the_noun(maker, tokenizer, samples):
    for sample in samples:
        question = maker.of_sample(sample)
        assert question.ids[question.mask] == tokenizer.mask_token_id
        assert question.ids.count(tokenizer.mask_token_id) == 1
        assert len(question.ids) <= LENGTH
        if question.masking == "tokens" and not question.cut:
            whole = tokenizer.encode(sample.text)
            pieces = len(whole) - len(question.ids) + 1
            restored = tokenizer.decode(whole[question.mask : question.mask + pieces])
            assert restored.replace(" ", "") == sample.noun


def test_only_whole_words_are_right(maker, tokenizer, samples):
    surfaces = read_surfaces(tokenizer)
    continued = [entry for entry, starts in enumerate(surfaces.initial) if not starts]
    assert all(tokenizer.convert_ids_to_tokens(entry).startswith("##") for entry in continued)
    for sample in samples:
        question = maker.of_sample(sample)
        entries = [tokenizer.convert_ids_to_tokens(entry) for entry in question.answer_ids]
        assert entries == ([sample.noun] if sample.noun in tokenizer.get_vocab() else [])


@given(
    length=st.integers(1, 400), room=st.integers(3, 200), data=st.data()
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_windows_hold_the_mask_and_both_mentions_where_they_fit(length, room, data):
    mask = data.draw(st.integers(0, length - 1))
    mention = data.draw(st.integers(0, mask))
    low, high = _window(length, mask, mention, room)
    assert high - low == min(length, room)
    assert 0 <= low <= mask < high <= length
    if mask - mention < room:
        assert low <= mention
        margins = (mention - low, high - 1 - mask)
        if low > 0 and high < length:
            assert abs(margins[0] - margins[1]) <= 1
