"""Words of the vocabulary."""

import pytest

from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.vocabulary import SPECIAL_TOKENS, learn_vocabulary


@pytest.fixture(scope="module")
def texts(corpus):
    return read_tagged_texts(corpus / "training.jsonl")


def test_the_vocabulary_holds_nouns_alone(texts):
    vocabulary = learn_vocabulary(texts, 3000)
    assert tuple(vocabulary[:5]) == SPECIAL_TOKENS
    assert len(vocabulary) == len(set(vocabulary)) <= 3000
    assert {"국회", "대통령", "법률", "##는", "##에"} < set(vocabulary)
    assert not any(piece.endswith("국회는") for piece in vocabulary)
