"""CSV tables from outside: text as it is written, and every row as wide as the header.

pandas takes a surplus cell for a row label, which moves every other cell by one column, and fills
a row that is too short.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import opened

_HINT = "Write one line per row, cells with commas, quotes or line breaks in double quotes."
_LARGEST_CELL = 50_000_000  # characters; a structure as text is far smaller


def csv_rows(
    path: Path, *, delimiter: str = ",", absent: str = "Check the path."
) -> Iterator[tuple[int, dict[str, str]]]:
    """(number, cells by column) of every row, gzipped or not; the header is row 1.

    Args:
        path: The table, in UTF-8.
        delimiter: What stands between two cells.
        absent: What to do if there is no such file.

    Raises:
        FoldwiseError: The file is missing, empty, damaged or not UTF-8, the header names a column
            twice, or a row has more or fewer cells than the header.
    """
    records = _records(path, delimiter, absent)
    names = next(records)
    for number, cells in enumerate(records, start=2):
        yield number, dict(zip(names, cells, strict=True))


def csv_table(path: Path, *, absent: str = "Check the path.") -> pd.DataFrame:
    """As `csv_rows`, in one table of text.

    Raises:
        FoldwiseError: As `csv_rows`.
    """
    names, *rows = _records(path, ",", absent)
    return pd.DataFrame(rows, columns=names, dtype=str)


def _records(path: Path, delimiter: str, absent: str) -> Iterator[list[str]]:
    """The header, then the rows."""
    csv.field_size_limit(_LARGEST_CELL)
    number = 0
    names: list[str] = []
    try:
        with opened(path, packed=_is_packed(path), absent=absent) as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            for cells in csv.reader(text, delimiter=delimiter, strict=True):
                if not any(cell.strip() for cell in cells) and len(cells) < 2:
                    continue
                number += 1
                names = names or _header(cells, path)
                if len(cells) != len(names):
                    raise FoldwiseError(
                        f"row {number} has {len(cells)} cells, the header {len(names)}",
                        where=str(path),
                        hint=_HINT,
                    )
                yield names if number == 1 else cells
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    except csv.Error as error:
        raise FoldwiseError(
            f"no valid CSV after row {number} ({error})", where=str(path), hint=_HINT
        ) from error
    if not number:
        raise FoldwiseError("the table is empty", where=str(path), hint=_HINT)


def _is_packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _header(cells: list[str], path: Path) -> list[str]:
    names = [name or f"Unnamed: {at}" for at, name in enumerate(cells)]  # as pandas calls them
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FoldwiseError(
            f"the header names {twice!r} twice", where=str(path), hint="Rename one of the columns."
        )
    return names


def _not_utf8(path: Path, error: UnicodeDecodeError) -> FoldwiseError:
    """The error with the line and the byte, which the reader of pieces does not know."""
    place, byte = str(path), error.object[error.start]
    with opened(path, packed=_is_packed(path)) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as found:
                place, byte = f"{path} line {number}", line[found.start]
                break
    return FoldwiseError(
        f"the encoding is not UTF-8 (byte 0x{byte:02x})",
        where=place,
        hint="Convert it: iconv -f LATIN1 -t UTF-8.",
    )
