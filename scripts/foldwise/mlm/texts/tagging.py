"""Korean morphemes by kiwipiepy, which brings its model in a wheel and needs no Java."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from kiwipiepy import Kiwi  # type: ignore[import-untyped]

NOUN_TAGS = frozenset({"NNG", "NNP"})
PRONOUN_TAG = "NP"


@dataclass(frozen=True)
class Morpheme:
    """A morpheme and the characters that it covers.

    Attributes:
        form: Its written form.
        tag: Its tag in the Sejong set, e.g. `NNG` (common noun), `JKS` (subject particle).
        start: First character in the text.
        end: One past the last character.
    """

    form: str
    tag: str
    start: int
    end: int


def tag_texts(texts: Sequence[str], workers: int = 1) -> Iterator[list[Morpheme]]:
    """Morphemes of each text, in the texts' order whatever the number of workers.

    Args:
        texts: Texts to tag.
        workers: Threads of the tagger.
    """
    for tokens in _tagger(workers).tokenize(list(texts)):
        yield [
            Morpheme(token.form, _plain(token.tag), token.start, token.start + token.len)
            for token in tokens
        ]


def noun_places(text: str, morphemes: Sequence[Morpheme]) -> list[tuple[int, int]]:
    """First and one past the last character of each noun of two or more syllables."""
    return [
        (one.start, one.end)
        for one in morphemes
        if one.tag in NOUN_TAGS and len(one.form) > 1 and text[one.start : one.end] == one.form
    ]


def tagger_version() -> str:
    """The tagger and its model: another version gives other samples."""
    return f"kiwipiepy {version('kiwipiepy')}, kiwipiepy_model {version('kiwipiepy_model')}"


@cache
def _tagger(workers: int) -> Any:
    return Kiwi(num_workers=workers)


def _plain(tag: Any) -> str:
    """The tag without the mark of irregular conjugation."""
    return str(tag).split("-", 1)[0]
