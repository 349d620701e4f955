"""Extended XYZ files and ASE databases, frame by frame."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from io import StringIO
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import opened
from foldwise.crystals.parsing import UNREADABLE, Failure, one_line
from foldwise.tasks.formats.rows import RawRow, RawSource
from foldwise.tasks.formats.text import crystal_of_atoms

ID_KEYS = ("id", "material_id", "mp_id", "name")


def xyz_source(path: Path, id_column: str | None, name: str) -> RawSource:
    """Frames of an extended XYZ file; their `info` and scalar results are columns."""
    return RawSource("extended XYZ file", None, partial(_frames, path, id_column, name))


def database_source(path: Path, id_column: str | None, name: str) -> RawSource:
    """Rows of an ASE database; key-value pairs and the energy (`energy`, eV) are columns.

    Raises:
        FoldwiseError: The file is no ASE database.
    """
    try:
        total = len(_database(path))
    # sqlite3 and ASE each have errors of their own for a file that is something else.
    except Exception as error:
        raise FoldwiseError(
            f"it is no ASE database ({one_line(error)})",
            where=str(path),
            hint="Write it with ase.db.",
        ) from error
    return RawSource("ASE database", total, partial(_entries, path, id_column, name))


def _database(path: Path) -> Any:
    connect: Any = import_module("ase.db").connect  # without types
    return connect(str(path), type="db")


def _frames(path: Path, id_column: str | None, name: str) -> Iterator[RawRow]:
    for number, (line, head, body) in enumerate(_frame_texts(path)):
        where = f"{path} frame {number + 1} (line {line})"
        written = _written_ids(head, id_column)
        try:
            frame = f"{len(body)}\n{head}\n" + "\n".join(_light_hydrogen(head, body)) + "\n"
            atoms: Any = read(StringIO(frame), format="extxyz")
            payload: Any = atoms
            columns = scalars(atoms.info) | _results(atoms)
        except Exception as error:  # noqa: BLE001 - ASE's parser meets errors of every kind
            payload, columns = Failure(UNREADABLE, f"the frame ({one_line(error)})"), {}
        columns |= written
        yield RawRow(
            frame_id(columns, id_column, name, number, where),
            payload,
            crystal_of_atoms,
            where,
            columns,
        )


def _frame_texts(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, comment and atoms of each frame; blank lines between frames are passed over.

    Raises:
        FoldwiseError: A frame does not begin with its number of atoms, is cut off, or is not UTF-8.
            What follows cannot be told apart then, so that reading stops.
    """
    hint = "Each frame is a number of atoms, a comment line, and a line for each atom."
    with opened(path, packed=path.name.lower().endswith(".gz")) as file:
        lines = enumerate(map(partial(_decoded_line, path), count(1), file), start=1)
        number = 0
        for line, text in lines:
            if not text.strip():
                continue
            number += 1
            where = f"{path} frame {number} (line {line})"
            if not re.fullmatch(r"\s*\d{1,7}\s*", text, re.ASCII):
                raise FoldwiseError(
                    f"{text.strip()[:40]!r} is not a number of atoms", where=where, hint=hint
                )
            n_atoms = int(text)
            frame = [row for _, row in islice(lines, n_atoms + 1)]
            if len(frame) < n_atoms + 1:
                raise FoldwiseError(
                    f"the frame has {n_atoms} atoms, and the file ends after "
                    f"{max(len(frame) - 1, 0)}",
                    where=where,
                    hint=hint,
                )
            yield line, frame[0], frame[1:]


def _decoded_line(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FoldwiseError(
            f"the encoding is not UTF-8 (byte 0x{line[error.start]:02x})",
            where=f"{path} line {number}",
            hint="Convert it: iconv -f LATIN1 -t UTF-8.",
        ) from error


def _written_ids(head: str, id_column: str | None) -> dict[str, Any]:
    """Ids as they are written in a comment line: ASE makes numbers of 001 and 1e5."""
    found = {}
    for key in (id_column,) if id_column else ID_KEYS:
        value = re.search(rf"(?:^|\s){re.escape(key)}=(?:\"([^\"]*)\"|'([^']*)'|(\S+))", head)
        if value:
            found[key] = next(text for text in value.groups() if text is not None)
    return found


def _light_hydrogen(head: str, body: Sequence[str]) -> Iterator[str]:
    """Lines of atoms with deuterium and tritium as hydrogen; ASE does not know them."""
    properties = re.search(r"Properties=\"?([^\s\"]+)", head, re.IGNORECASE)
    fields = properties[1].split(":") if properties else ["species", "S", "1"]
    names, widths = fields[::3], fields[2::3]
    at = names.index("species") if "species" in names else None
    column = None if at is None else sum(int(width) for width in widths[:at])
    for row in body:
        words = row.split()
        if column is not None and len(words) > column and words[column] in ("D", "T"):
            yield " ".join([*words[:column], "H", *words[column + 1 :]])
        else:
            yield row


def _entries(path: Path, id_column: str | None, name: str) -> Iterator[RawRow]:
    with _database(path) as database:
        for row in _database_rows(database, path):
            where = f"{path} row {row.id}"
            try:
                columns = scalars(row.key_value_pairs)
                if "energy" in row:
                    columns.setdefault("energy", float(row.energy))
                payload: Any = row.toatoms()
            except Exception as error:  # noqa: BLE001 - of a damaged row, of every kind
                payload, columns = Failure(UNREADABLE, f"the row ({one_line(error)})"), {}
            yield RawRow(
                frame_id(columns, id_column, name, row.id - 1, where),
                payload,
                crystal_of_atoms,
                where,
                columns,
            )


def _database_rows(database: Any, path: Path) -> Iterator[Any]:
    try:
        yield from database.select()
    except Exception as error:
        raise FoldwiseError(
            f"it cannot be read on ({one_line(error)})", where=str(path), hint="Copy it again."
        ) from error


def frame_id(
    columns: Mapping[str, Any], id_column: str | None, name: str, number: int, where: str
) -> str:
    """Id of a row: the named column, the first of `ID_KEYS`, or made from its number.

    Raises:
        FoldwiseError: The row lacks the named column, or the column is empty there.
    """
    key = id_column or next((key for key in ID_KEYS if key in columns), None)
    if key is None:
        return f"{name}-{number + 1:06d}"
    value = columns.get(key)
    if value is None or not str(value).strip() or value != value:  # noqa: PLR0124 - NaN
        raise FoldwiseError(
            f"it has no id in {key!r}", where=where, hint="Give every row one, or --id-column."
        )
    return unicodedata.normalize("NFC", str(value).strip())


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Text, numbers and truth values of a mapping."""
    plain = {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in values.items()
    }
    return {key: value for key, value in plain.items() if isinstance(value, str | int | float)}


def _results(atoms: Atoms) -> dict[str, Any]:
    """Scalar results, such as `energy` in eV, which ASE takes out of `info`."""
    return scalars(atoms.calc.results) if atoms.calc is not None else {}
