"""Reading Matbench-format files: gzip-compressed JSON in pandas' `split` orient.

The text is read in pieces, rows are decoded one at a time, and each structure is converted at once:
the text of a task with 132,752 structures, or its tree of Python objects, would fill more memory
than a laptop has.
"""

from __future__ import annotations

import os
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import opened, said_by

STRUCTURE_COLUMN = "structure"
_SPLIT_KEYS = ("index", "columns", "data")
_SPLIT_HINT = 'Write it with pandas: table.to_json(path, orient="split").'
_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = JSONDecoder()
_PIECE_BYTES = 2**22
_LONGEST_STRING = 2**20  # characters; of a longer one a cut is taken for a mistake


@dataclass(frozen=True)
class SplitTable:
    """A table in `split` orient.

    Attributes:
        index: Row labels as they stand in the file, length n.
        columns: Column names.
        rows: n lists of one cell per column; dict cells are already converted.
    """

    index: list[Any]
    columns: list[str]
    rows: list[list[Any]]


def read_split_json(
    path: str | os.PathLike[str], convert: Callable[[dict[str, Any]], Any]
) -> SplitTable:
    """Read a `json.gz` (or `json`) in `split` orient; cells that are objects go through `convert`.

    Raises:
        FoldwiseError: The file is missing, truncated, not gzip, not JSON, or not `split` orient.
    """
    try:
        content = _read_object(_Text(_pieces(Path(path))), convert)
    except JSONDecodeError as error:
        raise FoldwiseError(
            f"the file is not valid JSON ({error.msg})", where=str(path), hint=_SPLIT_HINT
        ) from error
    except (ValueError, RecursionError) as error:  # integers of thousands of digits, deep nesting
        raise FoldwiseError(
            f"the file is not valid JSON ({said_by(error)})", where=str(path), hint=_SPLIT_HINT
        ) from error
    return _check_table(content, str(path))


def _pieces(path: Path) -> Iterator[str]:
    """The text of the file, some megabytes at a time."""
    decode = getincrementaldecoder("utf-8")().decode
    try:
        packed = path.suffix != ".json"
        with opened(path, packed=packed, absent="Check the path of the dataset.") as file:
            while piece := file.read(_PIECE_BYTES):
                yield decode(piece)
            yield decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise FoldwiseError(
            f"the file cannot be read ({error})", where=str(path), hint="Check the path."
        ) from error


class _Text:
    """JSON that is read from its beginning to its end, a piece of it in memory at a time."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._at = 0

    def next(self) -> str:
        """The next character that is not blank; nothing at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, token: str) -> None:
        """Go behind the next character, which has to be `token`."""
        if self.next() != token:
            raise JSONDecodeError(f"Expecting {token!r}", self._text, self._at)
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                # A value that a piece cuts off fails at the end of what there is, or where a
                # string begins that goes on behind it.
                if error.pos < len(self._text) - _LONGEST_STRING or not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._at = end
            return value

    def _more(self) -> bool:
        """Forget what has been read, and read on; whether there was anything."""
        for piece in self._pieces:
            if piece:  # half a character is none yet
                self._text = self._text[self._at :] + piece
                self._at = 0
                return True
        return False


def _read_object(text: _Text, convert: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The top-level object; anything else comes back as an empty dict."""
    content: dict[str, Any] = {}
    if text.next() != "{":
        text.value()
    else:
        for key in _members(text, "{", "}"):
            text.take(":")
            if key == "data" and text.next() == "[":
                content[key] = [_converted(row, convert) for row in _members(text, "[", "]")]
            else:
                content[str(key)] = text.value()
    if text.next():
        raise JSONDecodeError("Extra data", "", 0)
    return content


def _members(text: _Text, first: str, last: str) -> Iterator[Any]:
    """The values between two brackets; of an object its keys, each before its value is read."""
    text.take(first)
    while text.next() != last:
        yield text.value()
        if text.next() != last:
            text.take(",")
    text.take(last)


def _converted(row: Any, convert: Callable[[dict[str, Any]], Any]) -> Any:
    if not isinstance(row, list):
        return row
    return [convert(cell) if isinstance(cell, dict) else cell for cell in row]


def _check_table(content: dict[str, Any], where: str) -> SplitTable:
    for key in _SPLIT_KEYS:
        if not isinstance(content.get(key), list):
            raise FoldwiseError(
                f"the file is not in pandas' split orient (no list {key!r})",
                where=where,
                hint=_SPLIT_HINT,
            )
    index, columns, rows = (content[key] for key in _SPLIT_KEYS)
    if len(index) != len(rows):
        raise FoldwiseError(
            f"{len(index)} index labels for {len(rows)} rows", where=where, hint=_SPLIT_HINT
        )
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise FoldwiseError(
                f"row {number} does not have one cell for each of the {len(columns)} columns",
                where=where,
                hint=_SPLIT_HINT,
            )
    return SplitTable(index=index, columns=[str(column) for column in columns], rows=rows)
