"""Parts of a corpus."""

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.texts.corpus import PARTS, split_corpus
from foldwise.mlm.texts.embedded import embedded_texts
from foldwise.mlm.texts.overlap import all_phrases, overlap_table
from foldwise.mlm.texts.text import read_texts


def test_parts_share_no_phrase(corpus):
    parts = {part: read_texts(corpus / f"{part}.jsonl") for part in PARTS}
    asked = [(text.id, text.text) for text in parts["evaluation"]]
    assert overlap_table(asked, parts["training"]).empty
    assert overlap_table(asked, parts["heldout"]).empty
    assert all_phrases(parts["training"]).isdisjoint(all_phrases(parts["heldout"]))


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
