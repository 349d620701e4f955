"""What each entry of a vocabulary writes: the form in which it is compared with a noun."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ANCHOR = "가"
_CHUNK = 4096


@dataclass(frozen=True)
class Surfaces:
    """Written forms of a vocabulary.

    Attributes:
        text: Written form of each entry, in Unicode's composed form.
        initial: Whether each entry begins a word.
        words: Entries that begin a word, by written form.
        pieces: All entries, by written form.
    """

    text: list[str]
    initial: list[bool]
    words: Mapping[str, list[int]]
    pieces: Mapping[str, list[int]]

    def ids_of(self, answer: str, *, initial: bool) -> list[int]:
        """Entries that write exactly `answer`; only those that begin a word, if `initial`."""
        return (self.words if initial else self.pieces).get(
            unicodedata.normalize("NFC", answer), []
        )

    def shown(self, entry: int) -> str:
        """The entry for a reader: continuations carry `##`."""
        return self.text[entry] if self.initial[entry] else f"##{self.text[entry]}"


def read_surfaces(tokenizer: Any) -> Surfaces:
    """Decode every entry behind an anchor word: what begins a word is set off by a space.

    This asks the tokenizer itself instead of knowing the marks of WordPiece (`##`), SentencePiece
    (`▁`) and byte-level BPE (`Ġ`).
    """
    anchor = tokenizer.encode(_ANCHOR, add_special_tokens=False)
    start = _decoded(tokenizer, [anchor])[0]
    text: list[str] = []
    initial: list[bool] = []
    for first in range(0, len(tokenizer), _CHUNK):
        entries = range(first, min(first + _CHUNK, len(tokenizer)))
        for decoded in _decoded(tokenizer, [[*anchor, entry] for entry in entries]):
            rest = decoded[len(start) :]
            initial.append(rest.startswith(" "))
            text.append(unicodedata.normalize("NFC", rest.strip()))
    words: defaultdict[str, list[int]] = defaultdict(list)
    pieces: defaultdict[str, list[int]] = defaultdict(list)
    for entry, written in enumerate(text):
        pieces[written].append(entry)
        if initial[entry]:
            words[written].append(entry)
    return Surfaces(text, initial, dict(words), dict(pieces))


def _decoded(tokenizer: Any, sequences: list[list[int]]) -> list[str]:
    return [str(tokenizer.decode(ids, clean_up_tokenization_spaces=False)) for ids in sequences]
