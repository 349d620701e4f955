"""Reading Matbench-format files: gzip-compressed JSON in pandas' `split` orient.

Rows are decoded one at a time and each structure is converted at once: the tree of Python objects
of a task with 132,752 structures would fill more memory than a laptop has.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError

STRUCTURE_COLUMN = "structure"
_SPLIT_KEYS = ("index", "columns", "data")
_SPLIT_HINT = 'Write it with pandas: table.to_json(path, orient="split").'
_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = JSONDecoder()


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
    text = _decompress(Path(path))
    try:
        content = _read_object(text, convert)
    except JSONDecodeError as error:
        raise FoldwiseError(
            f"the file is not valid JSON ({error})", where=str(path), hint=_SPLIT_HINT
        ) from error
    return _check_table(content, str(path))


def _decompress(path: Path) -> str:
    try:
        content = path.read_bytes()
        plain = path.suffix == ".json"
        return (content if plain else gzip.decompress(content)).decode("utf-8")
    except FileNotFoundError:
        raise FoldwiseError(
            "the file does not exist", where=str(path), hint="Check the path of the dataset."
        ) from None
    except (EOFError, zlib.error):
        raise FoldwiseError(
            "the file is truncated", where=str(path), hint="Copy or download it again."
        ) from None
    except gzip.BadGzipFile as error:
        raise FoldwiseError(
            f"the file is not intact gzip ({error})",
            where=str(path),
            hint="Compress it with gzip, or copy it again.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FoldwiseError(
            f"the file cannot be read ({error})", where=str(path), hint="Check the path."
        ) from error


def _read_object(text: str, convert: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The top-level object; anything else comes back as an empty dict."""
    position = _skip(text, 0)
    if not text.startswith("{", position):
        json.loads(text)
        return {}
    content: dict[str, Any] = {}
    position = _skip(text, position + 1)
    while not text.startswith("}", position):
        key, position = _DECODER.raw_decode(text, position)
        position = _expect(text, position, ":")
        if key == "data" and text.startswith("[", position):
            content[key], position = _read_rows(text, position, convert)
        else:
            content[str(key)], position = _DECODER.raw_decode(text, position)
        position = _skip(text, position)
        if not text.startswith("}", position):
            position = _expect(text, position, ",")
    if _skip(text, position + 1) != len(text):
        raise JSONDecodeError("Extra data", text, position + 1)
    return content


def _read_rows(
    text: str, position: int, convert: Callable[[dict[str, Any]], Any]
) -> tuple[list[Any], int]:
    """The array that starts at `position`, and the position behind it."""
    rows: list[Any] = []
    position = _skip(text, position + 1)
    while not text.startswith("]", position):
        row, position = _DECODER.raw_decode(text, position)
        if isinstance(row, list):
            row = [convert(cell) if isinstance(cell, dict) else cell for cell in row]
        rows.append(row)
        position = _skip(text, position)
        if not text.startswith("]", position):
            position = _expect(text, position, ",")
    return rows, position + 1


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return position if match is None else match.end()


def _expect(text: str, position: int, token: str) -> int:
    position = _skip(text, position)
    if not text.startswith(token, position):
        raise JSONDecodeError(f"Expecting {token!r}", text, position)
    return _skip(text, position + 1)


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
