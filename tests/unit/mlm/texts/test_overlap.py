"""Phrases that evaluation and training share."""

from foldwise.mlm.texts.overlap import overlap_table, phrases
from foldwise.mlm.texts.text import Text


def test_an_overlap_is_found():
    words = [f"낱말{number}" for number in range(20)]
    training = [Text("t", "s", "l", " ".join(words[5:]))]
    table = overlap_table([("e", " ".join(words[:15])), ("f", "다른 글")], training)
    assert table.to_dict("records") == [
        {"text_id": "e", "training_text_id": "t", "shared_phrases": 3, "share": 3 / 8}
    ]
    assert phrases("짧은 글") == {("짧은", "글")}
