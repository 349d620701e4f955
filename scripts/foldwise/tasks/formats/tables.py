"""Tables with a column of structures: CSV, JSON lines and Parquet, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import checked_file, opened, parse_json
from foldwise.common.tables import csv_rows
from foldwise.crystals.parsing import one_line
from foldwise.tasks.formats.frames import frame_id
from foldwise.tasks.formats.rows import RawRow, RawSource
from foldwise.tasks.formats.text import crystal_of_cell

STRUCTURE_COLUMNS = ("structure", "cif", "poscar", "atoms")
_Rows = Callable[[], Iterator[tuple[str, dict[str, Any]]]]
_CHUNK = 256  # rows that are in memory at a time
_LINE_HINT = 'Write {"id": …} per line, in UTF-8.'


def table_source(
    path: Path, id_column: str | None, structure_column: str | None, name: str
) -> RawSource:
    """Rows of a table whose column of structures holds CIF, POSCAR, or pymatgen dicts (or JSON).

    Raises:
        FoldwiseError: The file cannot be read, or has no column of structures.
    """
    kind, rows = _format_of(path)
    total = _n_rows(path) if kind.startswith("Parquet") else None
    return RawSource(
        kind,
        total,
        partial(_structures, rows, id_column, structure_column, name, uniform=kind != "JSON lines"),
    )


def _structures(
    rows: _Rows, id_column: str | None, structure_column: str | None, name: str, *, uniform: bool
) -> Iterator[RawRow]:
    """Rows; where they need not have the same columns, only a column that none has is an error."""
    known = False
    missing: FoldwiseError | None = None
    for number, (where, row) in enumerate(rows()):
        found = [structure_column] if structure_column else STRUCTURE_COLUMNS
        column = next((candidate for candidate in found if candidate in row), None)
        known = known or column is not None
        missing = missing or _no_structures(structure_column, row, where)
        if uniform and not known:
            raise missing
        columns = {key: value for key, value in row.items() if key != column}
        identifier = frame_id(columns, id_column, name, number, where)
        cell = None if column is None else row[column]
        yield RawRow(identifier, cell, crystal_of_cell, where, columns)
    if missing is not None and not known:
        raise missing


def _no_structures(column: str | None, row: Mapping[str, Any], where: str) -> FoldwiseError:
    wanted = f"column {column!r}" if column else "column of structures"
    return FoldwiseError(
        f"there is no {wanted} (columns: {', '.join(row)})",
        where=where,
        hint=f"Name it with --structure-column (default: {', '.join(STRUCTURE_COLUMNS)}).",
    )


def table_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every row of a table, whatever its format; cells of a CSV are text.

    Raises:
        FoldwiseError: The file is missing, or cannot be read.
    """
    if not path.is_file():
        raise FoldwiseError("the file does not exist", where=str(path), hint="Check the path.")
    yield from _format_of(path)[1]()


def _format_of(path: Path) -> tuple[str, _Rows]:
    lower = path.name.lower()
    if lower.endswith(".parquet"):
        return "Parquet table", partial(_parquet_rows, path)
    if lower.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        return "JSON lines", partial(_json_rows, path)
    return "CSV table", partial(_csv_rows, path)


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in csv_rows(path):
        yield f"{path} row {number}", dict(row)


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        row = parse_json(line, where, _LINE_HINT)
        if not isinstance(row, Mapping):
            raise FoldwiseError("the line is no JSON object", where=where, hint=_LINE_HINT)
        yield where, dict(row)


def _lines(path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with opened(path, packed=path.name.endswith(".gz")) as file:
            for line in file:
                number += 1
                yield line
    except FoldwiseError as error:
        raise FoldwiseError(
            f"it cannot be read on after line {number} ({error.what})",
            where=str(path),
            hint=error.hint,
        ) from error


def _n_rows(path: Path) -> int:
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(checked_file(path)) as file:
            yield file
    except FoldwiseError:
        raise
    # pyarrow meets damaged pages with errors of every kind.
    except Exception as error:
        raise FoldwiseError(
            f"it is no Parquet file, or is damaged ({one_line(error)})",
            where=str(path),
            hint="Copy it again.",
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with _parquet(path) as file:
        rows = (row for batch in file.iter_batches(batch_size=_CHUNK) for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            yield f"{path} row {number}", {str(key): cell for key, cell in row.items()}
