"""The syntax of CIF 1.1: from text to blocks of tags and values, nothing dropped or repaired.

Tags are in lower case with underscores, so that `_cell.length_a` and `_CELL_LENGTH_A` are
`_cell_length_a`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from foldwise.crystals.parsing import UNREADABLE, CrystalError

MISSING = (".", "?", "")
Block = dict[str, list[str]]
"""Values of each tag: one for a single tag, and one for each row of a loop."""

_TOKEN = re.compile(
    r"^;(?P<text>.*?)\n;"
    r"|(?P<comment>\#[^\n]*)"
    r"|'(?P<single>[^\n]*?)'(?=\s|\Z)"
    r'|"(?P<double>[^\n]*?)"(?=\s|\Z)'
    r"|(?P<word>\S+)",
    re.MULTILINE | re.DOTALL,
)
_KEYWORD = re.compile(r"(data_|loop_|save_|global_|stop_)", re.IGNORECASE)
# Tags that decide which crystal it is must not stand twice with different values.
_DECISIVE = ("_cell_", "_atom_site_", "_symmetry_", "_space_group_")


class _Token(NamedTuple):
    """A word, or a value in quotes, which can be neither a tag nor a keyword."""

    text: str
    quoted: bool

    @property
    def is_value(self) -> bool:
        return self.quoted or not (self.text.startswith("_") or _KEYWORD.match(self.text))


def cif_blocks(text: str) -> list[Block]:
    """The data blocks of a CIF, in order; blocks of one name stay apart.

    Raises:
        CrystalError: A loop has an incomplete row, or a block states a decisive tag twice.
    """
    tokens = list(_tokens(text))
    blocks: list[Block] = []
    at = 0
    while at < len(tokens):
        word = tokens[at].text
        lower = word.lower()
        at += 1
        if tokens[at - 1].quoted:
            continue
        if lower.startswith("data_"):
            blocks.append({})
        elif lower.startswith("save_"):
            raise CrystalError(UNREADABLE, f"save frames ({word}) are not supported")
        elif not blocks:
            continue
        elif lower.startswith("loop_"):
            at = _read_loop(tokens, at, blocks[-1])
        elif word.startswith("_"):
            # A value of several words without quotes, such as P 21/c, belongs together.
            stop = _end_of(tokens, at, values=True)
            _add(blocks[-1], word, [" ".join(token.text for token in tokens[at:stop]) or "?"])
            at = stop
    return blocks


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        kind = found.lastgroup
        if kind == "word":
            yield _Token(found["word"], quoted=False)
        elif kind in ("text", "single", "double"):
            yield _Token(found[kind].strip(), quoted=True)


def _end_of(tokens: list[_Token], start: int, *, values: bool) -> int:
    """Where a run of values, or of tags, ends."""
    stop = start
    while stop < len(tokens) and (
        tokens[stop].is_value
        if values
        else tokens[stop].text.startswith("_") and not tokens[stop].quoted
    ):
        stop += 1
    return stop


def _read_loop(tokens: list[_Token], start: int, block: Block) -> int:
    middle = _end_of(tokens, start, values=False)
    stop = _end_of(tokens, middle, values=True)
    tags = [token.text for token in tokens[start:middle]]
    values = [token.text for token in tokens[middle:stop]]
    if not tags or len(values) % len(tags):
        first = tags[0] if tags else "nothing"
        raise CrystalError(
            UNREADABLE,
            f"the loop of {first} has {len(tags)} columns and {len(values)} values",
        )
    for column, tag in enumerate(tags):
        _add(block, tag, values[column :: len(tags)])
    return stop


def _add(block: Block, tag: str, values: list[str]) -> None:
    name = tag.lower().replace(".", "_").rstrip("_")
    if block.get(name, values) != values and name.startswith(_DECISIVE):
        raise CrystalError(UNREADABLE, f"{tag} stands twice with different values")
    block[name] = values
