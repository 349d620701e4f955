"""Extended XYZ files and ASE databases, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import iread

from foldwise.common.errors import FoldwiseError
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
            f"it is no ASE database ({error})", where=str(path), hint="Write it with ase.db."
        ) from error
    return RawSource("ASE database", total, partial(_entries, path, id_column, name))


def _database(path: Path) -> Any:
    connect: Any = import_module("ase.db").connect  # without types
    return connect(str(path), type="db")


def _frames(path: Path, id_column: str | None, name: str) -> Iterator[RawRow]:
    frames = iread(str(path), index=":", format="extxyz")
    number = 0
    while True:
        where = f"{path} frame {number + 1}"
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            raise FoldwiseError(
                f"the encoding is not UTF-8 (byte 0x{error.object[error.start]:02x})",
                where=where,
                hint="Convert it: iconv -f LATIN1 -t UTF-8.",
            ) from error
        # A parser of free text meets errors of every kind, and cannot go on behind one.
        except Exception as error:
            raise FoldwiseError(
                f"the frame cannot be read ({' '.join(str(error).split())})",
                where=where,
                hint="Write the file with ase.io.write(…, format='extxyz').",
            ) from error
        columns = scalars(atoms.info) | _results(atoms)
        yield RawRow(
            frame_id(columns, id_column, name, number, where),
            atoms,
            crystal_of_atoms,
            where,
            columns,
        )
        number += 1


def _entries(path: Path, id_column: str | None, name: str) -> Iterator[RawRow]:
    with _database(path) as database:
        for row in database.select():
            where = f"{path} row {row.id}"
            columns = scalars(row.key_value_pairs)
            if "energy" in row:
                columns.setdefault("energy", float(row.energy))
            yield RawRow(
                frame_id(columns, id_column, name, row.id - 1, where),
                row.toatoms(),
                crystal_of_atoms,
                where,
                columns,
            )


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
    return str(value).strip()


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
