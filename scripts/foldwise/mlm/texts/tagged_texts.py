"""Texts with the places of their morphemes and nouns, as `prepare_mlm_texts.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.texts.text import json_lines


@dataclass(frozen=True)
class TaggedText:
    """A text and its morphemes, so that a training needs no tagger.

    Attributes:
        id: Its name.
        text: The text.
        nouns: First and one past the last character of each noun of two or more syllables.
        morphemes: The same for every morpheme.
    """

    id: str
    text: str
    nouns: tuple[tuple[int, int], ...]
    morphemes: tuple[tuple[int, int], ...]


def read_tagged_texts(path: str | Path) -> list[TaggedText]:
    """Read `{part}.jsonl` of a prepared corpus.

    Raises:
        FoldwiseError: The file is missing, empty or broken, or holds no places of nouns.
    """
    place = Path(path)
    texts = [
        _text(value, place, number) for number, value in json_lines(place) if value is not None
    ]
    if not texts:
        raise FoldwiseError(
            "the file holds no text", where=str(path), hint="Give the part a larger share."
        )
    return texts


def _text(value: Any, path: Path, number: int) -> TaggedText:
    try:
        return TaggedText(
            id=str(value["id"]),
            text=str(value["text"]),
            nouns=tuple((int(start), int(end)) for start, end in value["nouns"]),
            morphemes=tuple((int(start), int(end)) for start, end in value["morphemes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FoldwiseError(
            f"line {number} is no tagged text",
            where=str(path),
            hint="Prepare it with scripts/prepare_mlm_texts.py.",
        ) from error
