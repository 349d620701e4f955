"""The reference matching: how the published baseline was counted.

The evaluation behind the baseline of config/mlm.yaml takes the text around the mask by characters
(200 to each side, times `seq_len` / 512), writes the mask token into it, and looks at the 50 most
probable tokens: `##` is stripped, tokens without a noun (NNG, NNP) by the tagger are dropped, and
a rate @k counts a hit if one of the first k nouns equals the answer, contains it, or is part of
it. Of a Ko-LAMBADA row it masks the answer at the end of the text, else its first occurrence. It
is more lenient than the exact matching, and only its rates are compared with that baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foldwise.mlm.samples.building import Sample
from foldwise.mlm.samples.lambada import BLANK, Blank
from foldwise.mlm.texts.tagging import NOUN_TAGS, tag_texts

SUFFIX = "/reference"
_SIDE, _USUAL_LENGTH = 200, 512
_MOST = 5


def reference_gap(item: Sample | Blank, seq_len: int) -> tuple[str, str]:
    """The characters before and after the mask, as the reference cuts them."""
    before, after = _gap(item)
    side = int(_SIDE * max(1.0, seq_len / _USUAL_LENGTH))
    return before[-side:], after[:side]


def _gap(item: Sample | Blank) -> tuple[str, str]:
    if isinstance(item, Sample):
        return item.text[: item.start], item.text[item.end :]
    text = f"{item.before}{item.answer if item.last_word else BLANK}{item.after}"
    if text.strip().endswith(item.answer):
        # As the reference does it, whatever white space the text ends with.
        return text[: len(text) - len(item.answer)], ""
    before, found, after = text.partition(item.answer)
    return (before, after) if found else (f"{text} ", "")


def noun_candidates(
    nearest: Mapping[str, Sequence[int]], written: Sequence[str]
) -> dict[str, list[str]]:
    """The first five nouns among the most probable entries of each question.

    Args:
        nearest: The most probable entries, by question.
        written: Written form of each entry of the vocabulary.
    """
    forms = sorted({written[entry] for entries in nearest.values() for entry in entries} - {""})
    nouns = {
        form
        for form, morphemes in zip(forms, tag_texts(forms), strict=True)
        if any(morpheme.tag in NOUN_TAGS for morpheme in morphemes)
    }
    return {
        name: [written[entry] for entry in entries if written[entry] in nouns][:_MOST]
        for name, entries in nearest.items()
    }


def is_hit(answer: str, candidates: Sequence[str]) -> bool:
    """Whether a candidate equals the answer, contains it, or is contained in it."""
    return any(answer in candidate or candidate in answer for candidate in candidates)
