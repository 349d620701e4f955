"""Structures and targets brought together: the dataset's file, its columns, and what is left out.

The file is what `source: file` of a study reads. Structures are read once and written as they come.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pymatgen.core.periodic_table import Element

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_csv
from foldwise.crystals.descriptors import Descriptors, describe
from foldwise.crystals.neighbors import CrystalArrays, GraphError, build_graph
from foldwise.crystals.parsing import Failure
from foldwise.tasks.formats.reader import StructureSource
from foldwise.tasks.formats.rows import StructureRow
from foldwise.tasks.matbench_json import STRUCTURE_COLUMN
from foldwise.tasks.own.values import Quantity, Target, no_column, target_of
from foldwise.tasks.targets import BAD_TARGET

CRYSTALS, COLUMNS, REJECTED = "crystals.json.gz", "columns.csv", "rejected.csv"
NO_TARGET = "structure without a target"
NO_STRUCTURE = "target without a structure"
NO_GRAPH = "CHGNet cannot take it"


class Rejected(NamedTuple):
    """A row that is left out: where it stands, why, and what was found."""

    id: str
    where: str
    reason: str
    detail: str


@dataclass
class Collected:
    """What was found.

    Attributes:
        ids: Accepted rows, in the order of the source.
        crystals: Their crystals.
        descriptors: Their descriptors.
        targets: Their targets.
        rejected: Rows that are left out.
    """

    ids: list[str] = field(default_factory=list)
    crystals: list[CrystalArrays] = field(default_factory=list)
    descriptors: list[Descriptors] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """`id`, `target`, and the descriptors."""
        table = pd.DataFrame(self.descriptors)
        table.insert(0, "id", self.ids)
        return table.assign(target=self.targets)


def collect(
    source: StructureSource,
    targets: Mapping[str, Target] | None,
    quantity: Quantity,
    folder: Path,
    *,
    workers: int = 1,
) -> Collected:
    """Write `CRYSTALS`, `COLUMNS` and `REJECTED` into a folder.

    `CRYSTALS` is a Matbench file with the structures and the target, `COLUMNS` holds every other
    column of the accepted rows, for splits.

    Args:
        source: The structures.
        targets: Targets by id; None where they stand beside the structures.
        quantity: What the target is.
        folder: Where the files go.
        workers: Processes that read structures.

    Raises:
        FoldwiseError: The source cannot be read on, or no row can be used.
    """
    found = Collected()
    columns: list[dict[str, Any]] = []
    missing = dict(targets or {})
    absent: FoldwiseError | None = None  # as long as no row has the column of targets
    has_column = targets is not None
    with _table_writer(folder / CRYSTALS, quantity.column) as write:
        for row in source.rows(workers):
            if targets is None:
                entry: Target | None = target_of(row.columns, quantity, row.where)
                has_column = has_column or quantity.column in row.columns
                absent = absent or no_column(row.columns, quantity, row.where)
            else:
                entry = targets.get(row.id)
                missing.pop(row.id, None)
            verdict = _judged(row, entry)
            if isinstance(verdict, Rejected):
                found.rejected.append(verdict)
                continue
            assert entry is not None
            assert entry.value is not None
            assert isinstance(row.crystal, CrystalArrays)
            write(row.id, row.crystal, entry.value)
            found.ids.append(row.id)
            found.crystals.append(row.crystal)
            found.descriptors.append(verdict)
            found.targets.append(entry.value)
            columns.append({**row.columns, **entry.columns, "id": row.id})
    if absent is not None and not has_column:
        raise absent
    found.rejected += [
        Rejected(name, entry.where, NO_STRUCTURE, f"no structure is called {name}")
        for name, entry in missing.items()
    ]
    _check_any(found, targets)
    rejected = pd.DataFrame(found.rejected, columns=list(Rejected._fields))
    write_csv(folder / REJECTED, rejected)
    _write_columns(folder / COLUMNS, columns, quantity.column)
    return found


def _judged(row: StructureRow, entry: Target | None) -> Descriptors | Rejected:
    if isinstance(row.crystal, Failure):
        return Rejected(row.id, row.where, row.crystal.reason, row.crystal.detail)
    if entry is None:
        return Rejected(row.id, row.where, NO_TARGET, f"no target has the id {row.id}")
    if entry.value is None:
        return Rejected(row.id, entry.where, BAD_TARGET, entry.cell or "empty")
    try:
        build_graph(row.crystal)
    except GraphError as error:
        return Rejected(row.id, row.where, NO_GRAPH, str(error))
    return describe(row.crystal)


def _check_any(found: Collected, targets: Mapping[str, Target] | None) -> None:
    if found.ids:
        return
    if not found.rejected:
        raise FoldwiseError("there is no row in it", where="--structures", hint="Check the path.")
    first = found.rejected[0]
    known = next(iter(targets), "") if targets else ""
    hint = "Check the ids: a file's is its name without ending" + (
        f", the first target's is {known!r}." if known else "."
    )
    if first.reason == BAD_TARGET:
        hint = "Write targets as numbers, or as true and false with --unit class."
    raise FoldwiseError(
        f"none of {len(found.rejected)} rows can be used, the first ({first.id}): {first.reason} "
        f"({first.detail})",
        where=first.where,
        hint=hint,
    )


@contextmanager
def _table_writer(path: Path, target: str) -> Iterator[Any]:
    """Rows of a file in pandas' `split` orient, written as they come."""
    ids: list[str] = []
    with (
        path.open("wb") as raw,
        # No time and no name in the file: the same rows give the same bytes.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        file.write(json.dumps({"columns": [STRUCTURE_COLUMN, target]}).encode()[:-1])
        file.write(b', "data": [')

        def write(name: str, crystal: CrystalArrays, value: float) -> None:
            file.write(b",\n" if ids else b"\n")
            file.write(json.dumps([_structure(crystal), value]).encode())
            ids.append(name)

        yield write
        file.write(b'\n], "index": ' + json.dumps(ids).encode() + b"}\n")


def _structure(crystal: CrystalArrays) -> dict[str, Any]:
    """The dict that pymatgen's `Structure.from_dict` takes."""
    return {
        "lattice": {"matrix": crystal.lattice.tolist()},
        "sites": [
            {"species": [{"element": Element.from_Z(number).symbol, "occu": 1}], "abc": place}
            for number, place in zip(crystal.numbers.tolist(), crystal.frac.tolist(), strict=True)
        ],
    }


def _write_columns(path: Path, rows: Sequence[Mapping[str, Any]], target: str) -> None:
    names = list(dict.fromkeys(["id", *(key for row in rows for key in row if key != target)]))
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
