"""Crystals from outside: whatever the format or the folders, one row after the other."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from foldwise.common.errors import FoldwiseError
from foldwise.common.workers import worker_pool
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import (
    TOO_LARGE,
    UNREADABLE,
    CrystalError,
    Failure,
    check_crystal,
    one_line,
    parse_or_failure,
)
from foldwise.tasks.formats.frames import database_source, xyz_source
from foldwise.tasks.formats.rows import RawRow, RawSource, StructureRow, printable
from foldwise.tasks.formats.tables import table_source
from foldwise.tasks.formats.text import MAX_ATOMS, crystal_of_cell, crystal_of_file, same_crystal
from foldwise.tasks.identifiers import check_id, crystal_ids
from foldwise.tasks.matbench_json import STRUCTURE_COLUMN, read_split_json

_WINDOW = 32  # rows per task of a worker process
FORMATS = (
    "a folder of CIF or POSCAR files, .xyz or .extxyz, an ASE .db, a table (.csv, .jsonl, "
    ".parquet) with a column of structures, or a Matbench .json.gz"
)
_CIF = re.compile(r"(?P<id>.+)\.(?:cif|mcif|vasp|poscar)", re.IGNORECASE)
_POSCAR = re.compile(r"(?:POSCAR|CONTCAR)(?:[._-](?P<id>.+))?")


@dataclass(frozen=True)
class StructureSource:
    """Structures that can be read one after the other, as often as needed.

    Attributes:
        kind: What the source is, in words.
        total: Number of rows, or None where only reading tells.
        ignored: Names of files that are no structures.
    """

    kind: str
    total: int | None
    ignored: tuple[str, ...]
    _raw: RawSource
    _max_atoms: int

    def rows(self, workers: int = 1, skip: Collection[str] = ()) -> Iterator[StructureRow]:
        """All rows in order; a bar on standard error shows how far it is.

        At most a few hundred rows are in memory at a time. The rows do not depend on `workers`.

        Args:
            workers: Processes that read structures.
            skip: Ids that are passed over without reading their structures.

        Raises:
            FoldwiseError: Two rows have one id, an id cannot name a file, or the source as a whole
                cannot be read on; what is wrong with one structure stands in its row.
        """
        raw = (row for row in _distinct(self._raw.rows()) if row.id not in skip)
        total = None if self.total is None else max(self.total - len(skip), 0)
        terminal = sys.stderr.isatty()
        yield from tqdm(
            _converted(((row, self._max_atoms) for row in raw), workers),
            total=total,
            unit=" structures",
            desc="reading",
            file=sys.stderr,
            mininterval=0.2 if terminal else 30.0,
            delay=0.5,
            leave=terminal,
        )


def open_structures(
    path: str | Path,
    *,
    id_column: str | None = None,
    structure_column: str | None = None,
    max_atoms: int = MAX_ATOMS,
    name: str = "row",
) -> StructureSource:
    """Open structures in any of the `FORMATS`.

    A crystal that comes out has passed `check_crystal`; atoms without neighbours show when its
    graph is built. Disorder, partial occupancy, a missing lattice, a cell of more than `max_atoms`
    atoms, an unknown element or an unreadable file make a `Failure` of the row, and reading goes
    on.

    Args:
        path: Folder or file.
        id_column: Column of ids in a table, key in an extended XYZ file or an ASE database; by
            default `id`, `material_id`, `mp_id` or `name`, or else ids are made from row numbers.
        structure_column: Column of structures of a table.
        max_atoms: Largest cell that is accepted.
        name: Beginning of ids that are made: "{name}-000001".

    Raises:
        FoldwiseError: The path does not exist, is of no known format, or holds no structure.
    """
    place = Path(path)
    if not place.exists():
        raise FoldwiseError("it does not exist", where=str(place), hint=f"Give {FORMATS}.")
    raw = _raw_source(place, id_column, structure_column, name)
    return StructureSource(raw.kind, raw.total, raw.ignored, raw, max_atoms)


def _raw_source(
    path: Path, id_column: str | None, structure_column: str | None, name: str
) -> RawSource:
    lower = path.name.lower()
    if path.is_dir() or is_structure_file(path):
        return folder_source(path)
    if lower.endswith((".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz")):
        return xyz_source(path, id_column, name)
    if lower.endswith(".db"):
        return database_source(path, id_column, name)
    if lower.endswith((".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".parquet")):
        return table_source(path, id_column, structure_column, name)
    if lower.endswith((".json", ".json.gz")):
        return _matbench_source(path, name)
    raise FoldwiseError("no known format", where=str(path), hint=f"Give {FORMATS}.")


def _matbench_source(path: Path, name: str) -> RawSource:
    table = read_split_json(path, parse_or_failure)
    if STRUCTURE_COLUMN not in table.columns:
        raise FoldwiseError(
            f"there is no column {STRUCTURE_COLUMN!r} (columns: {', '.join(table.columns)})",
            where=str(path),
            hint="Name the column of pymatgen dicts so.",
        )
    at = table.columns.index(STRUCTURE_COLUMN)
    ids = crystal_ids(table.index, name, str(path))

    def rows() -> Iterator[RawRow]:
        for number, (identifier, row) in enumerate(zip(ids, table.rows, strict=True)):
            columns = {
                column: cell
                for column, cell in zip(table.columns, row, strict=True)
                if column != STRUCTURE_COLUMN
            }
            cell = row[at]
            known = isinstance(cell, CrystalArrays | Failure)  # objects are converted already
            convert = same_crystal if known else crystal_of_cell
            yield RawRow(identifier, cell, convert, f"{path} row {number}", columns)

    return RawSource("Matbench JSON", len(ids), rows)


def _distinct(rows: Iterable[RawRow]) -> Iterator[RawRow]:
    seen: dict[str, str] = {}
    for raw in rows:
        # One letter may be written in two ways (NFC, NFD) that look alike.
        row = raw._replace(
            id=unicodedata.normalize("NFC", raw.id),
            where=printable(raw.where),
            columns={key: printable(cell) for key, cell in raw.columns.items()},
        )
        check_id(row.id, row.where)
        if row.id in seen:
            raise FoldwiseError(
                f"the id {row.id!r} stands in {seen[row.id]} too",
                where=row.where,
                hint="Make every id unique.",
            )
        seen[row.id] = row.where
        yield row


def _converted(rows: Iterator[tuple[RawRow, int]], workers: int) -> Iterator[StructureRow]:
    if workers <= 1:
        yield from map(_convert, rows)
        return
    with worker_pool(workers, "spawn") as pool:
        while window := list(islice(rows, _WINDOW * workers * 4)):
            yield from pool.map(_convert, window, chunksize=_WINDOW)


def _convert(task: tuple[RawRow, int]) -> StructureRow:
    row, max_atoms = task
    return StructureRow(row.id, _crystal(row, max_atoms), row.where, row.columns)


def _crystal(row: RawRow, max_atoms: int) -> CrystalArrays | Failure:
    if isinstance(row.payload, Failure):
        return row.payload
    try:
        crystal = row.convert(row.payload, max_atoms)
        if len(crystal.numbers) > max_atoms:
            return Failure(TOO_LARGE, f"{len(crystal.numbers)} atoms, more than {max_atoms}")
        check_crystal(crystal)
    except CrystalError as error:
        return Failure(error.failure.reason, printable(error.failure.detail))
    except Exception as error:  # noqa: BLE001 - one structure must not stop the others
        return Failure(UNREADABLE, printable(one_line(error)))
    return crystal


def folder_source(path: Path) -> RawSource:
    """Files of a folder in the order of their paths, or one file.

    The id is the name without its ending: `NaCl.cif`, `NaCl.vasp`, `POSCAR_NaCl`; a file that is
    called POSCAR or CONTCAR alone takes the name of its folder. All may be gzipped (`.gz`).

    Raises:
        FoldwiseError: There is no such file, or two files have one id.
    """
    files: list[tuple[str, str]] = []
    ignored = []
    for found in _files(path):
        name = _id_of(found)
        if name is None:
            ignored.append(found.name)
        else:
            files.append((name, str(found)))
    if not files:
        raise FoldwiseError(
            "there is no structure in it" + (f" ({len(ignored)} other files)" if ignored else ""),
            where=str(path),
            hint="Files are called NAME.cif, NAME.vasp, POSCAR_NAME or NAME/POSCAR, .gz or not.",
        )
    seen: dict[str, str] = {}
    for name, file in files:
        if name in seen:
            raise FoldwiseError(
                f"two files have the id {name!r}: {os.path.relpath(seen[name], path)} and "
                f"{os.path.relpath(file, path)}",
                where=str(path),
                hint="Rename or remove one.",
            )
        seen[name] = file
    return RawSource(
        kind="folder of structure files" if path.is_dir() else "structure file",
        total=len(files),
        rows=partial(_rows, files),
        ignored=tuple(ignored),
    )


def _files(path: Path) -> Iterator[Path]:
    """Files of a folder and of those in it; links to folders are followed, each folder once."""
    if path.is_file():
        yield path
        return
    seen = {path.resolve()}
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
        followed = []
        for name in folders:
            target = Path(folder, name).resolve()
            # A link to what is in this folder anyway must not come before the folder itself.
            inside = Path(folder, name).is_symlink() and target.is_relative_to(path.resolve())
            if target not in seen and not inside:
                seen.add(target)
                followed.append(name)
        folders[:] = followed
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _id_of(file: Path) -> str | None:
    name = file.name.removesuffix(".gz")
    found = _CIF.fullmatch(name) or _POSCAR.fullmatch(name)
    return None if found is None else found["id"] or file.absolute().parent.name


def is_structure_file(path: Path) -> bool:
    """Whether a file is called as one structure's file is."""
    return _id_of(path) is not None


def _rows(files: list[tuple[str, str]]) -> Iterator[RawRow]:
    for name, file in files:
        yield RawRow(name, file, crystal_of_file, file, {})
