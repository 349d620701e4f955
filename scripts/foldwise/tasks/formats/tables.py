"""Tables with a column of structures: CSV, JSON lines and Parquet, some rows at a time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.formats.frames import frame_id
from foldwise.tasks.formats.rows import RawRow, RawSource
from foldwise.tasks.formats.text import crystal_of_cell

STRUCTURE_COLUMNS = ("structure", "cif", "poscar", "atoms")
_Rows = Callable[[], Iterator[tuple[str, dict[str, Any]]]]
_CHUNK = 256  # rows that are in memory at a time
_ENCODING_HINT = "Convert it: iconv -f LATIN1 -t UTF-8."


def table_source(
    path: Path, id_column: str | None, structure_column: str | None, name: str
) -> RawSource:
    """Rows of a table whose column of structures holds CIF, POSCAR, or pymatgen dicts (or JSON).

    Raises:
        FoldwiseError: The file cannot be read, or has no column of structures.
    """
    kind, rows = _format_of(path)
    total = _n_rows(path) if kind.startswith("Parquet") else None
    return RawSource(kind, total, partial(_structures, rows, id_column, structure_column, name))


def _structures(
    rows: _Rows, id_column: str | None, structure_column: str | None, name: str
) -> Iterator[RawRow]:
    for number, (where, row) in enumerate(rows()):
        column = structure_column or next((c for c in STRUCTURE_COLUMNS if c in row), None)
        if column is None or column not in row:
            wanted = f"column {column!r}" if column else "column of structures"
            raise FoldwiseError(
                f"there is no {wanted} (columns: {', '.join(row)})",
                where=where,
                hint=f"Name it with --structure-column (default: {', '.join(STRUCTURE_COLUMNS)}).",
            )
        columns = {key: value for key, value in row.items() if key != column}
        identifier = frame_id(columns, id_column, name, number, where)
        yield RawRow(identifier, row[column], crystal_of_cell, where, columns)


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
    number = 1
    try:
        _check_encoding(path)
        with pd.read_csv(
            path, dtype=str, keep_default_na=False, chunksize=_CHUNK, encoding="utf-8-sig"
        ) as chunks:
            for chunk in chunks:
                for row in chunk.to_dict("records"):
                    number += 1
                    yield f"{path} row {number}", {str(key): cell for key, cell in row.items()}
    except (OSError, EOFError, ValueError) as error:
        raise FoldwiseError(
            f"no valid CSV behind row {number} ({error})",
            where=str(path),
            hint="Write one line per row, cells with commas or line breaks in double quotes.",
        ) from error


def _check_encoding(path: Path) -> None:
    """Refuse a text file that is not UTF-8, with the line and the byte."""
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise FoldwiseError(
                    f"the encoding is not UTF-8 (byte 0x{line[error.start]:02x})",
                    where=f"{path} line {number}",
                    hint=_ENCODING_HINT,
                ) from error


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path} line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                raise FoldwiseError(
                    f"the line is no JSON in UTF-8 ({error})", where=where, hint=_ENCODING_HINT
                ) from error
            if not isinstance(row, Mapping):
                raise FoldwiseError(
                    "the line is no JSON object", where=where, hint='Write {"id": …} per line.'
                )
            yield where, dict(row)


def _n_rows(path: Path) -> int:
    try:
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise FoldwiseError(
            f"it is no Parquet file ({error})", where=str(path), hint="Copy it again."
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_CHUNK):
        for row in batch.to_pylist():
            number += 1
            yield f"{path} row {number}", row
