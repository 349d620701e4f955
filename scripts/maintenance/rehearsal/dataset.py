"""A file in Matbench's own format with official ids and targets, and stand-in crystals."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core.composition import Composition

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, atomic_path
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.matbench_json import read_split_json
from foldwise.tasks.official import OfficialTask, crystal_tasks
from maintenance.rehearsal.crystals import atomic_volumes, stand_in

REAL = REPOSITORY / "data" / "matbench_mp_e_form.json.gz"
"""The real crystals whose volumes the stand-ins take."""


@dataclass(frozen=True)
class OfficialRows:
    """What a rehearsal takes from an official task: every row, without its crystal.

    Attributes:
        task: The task.
        ids: Official ids.
        cells: Compositions of whole cells.
        values: Targets.
    """

    task: OfficialTask
    ids: list[str]
    cells: list[Composition]
    values: list[float]


def official_rows(task_name: str, targets: str | os.PathLike[str] | None) -> OfficialRows:
    """Every row of a task, from a table where one is given, else from the official download.

    Args:
        task_name: Official task with structures and a numeric target.
        targets: CSV with `mbid`, `composition` and the target's column.

    Raises:
        FoldwiseError: There is no such task or file, or the CSV is no table of this task.
    """
    tasks = crystal_tasks()
    if task_name not in tasks:
        raise FoldwiseError(
            f"{task_name!r} is no official task with structures and a numeric target",
            where="--task",
            hint=f"Name one of {', '.join(sorted(tasks))}.",
        )
    task = tasks[task_name]
    return _from_download(task) if targets is None else _from_table(task, Path(targets))


def _from_download(task: OfficialTask) -> OfficialRows:
    if not task.file_path.is_file():
        raise FoldwiseError(
            f"the official file of {task.name} is not there",
            where=str(task.file_path),
            hint=f"Give --targets (to make: TARGETS=…) a CSV with mbid, composition and "
            f"{task.target}, or download {task.url} and put it at this path.",
        )
    table = read_split_json(task.file_path, parse_structure)
    cell, target = (table.columns.index(name) for name in ("structure", task.target))
    return OfficialRows(
        task,
        [task.crystal_id(row) for row in range(len(table.rows))],
        [_composition(row[cell]) for row in table.rows],
        [float(row[target]) for row in table.rows],
    )


def _from_table(task: OfficialTask, path: Path) -> OfficialRows:
    if not path.is_file():
        raise FoldwiseError(
            "there is no such file",
            where=str(path),
            hint=f"Give --targets a CSV with mbid, composition and {task.target}.",
        )
    try:
        table = pd.read_csv(path)
        ids = table["mbid"].astype(str).tolist()
        values = table[task.target].astype(float).tolist()
        cells = [Composition(text) for text in table["composition"]]
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise FoldwiseError(
            f"no table of {task.name} ({error})",
            where=str(path),
            hint=f"It needs mbid, composition and {task.target}.",
        ) from error
    if len(ids) != task.n_samples:
        raise FoldwiseError(
            f"{len(ids)} rows instead of {task.n_samples}", where=str(path), hint="Give all rows."
        )
    return OfficialRows(task, ids, cells, values)


def _composition(crystal: CrystalArrays) -> Composition:
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    return Composition(
        {int(number): int(count) for number, count in zip(numbers, counts, strict=True)}
    )


def write_rehearsal(rows: OfficialRows, out: Path, *, seed: int = 0) -> str:
    """Write the dataset of a rehearsal, row by row; returns a line that says what it is.

    Args:
        rows: What is official in it.
        out: File to write, `….json.gz`.
        seed: Decides the crystals.

    Raises:
        FoldwiseError: `out` is a folder.
    """
    if out.is_dir():
        raise FoldwiseError("it is a folder", where=str(out), hint="Name a file: ….json.gz.")
    real = read_split_json(REAL, parse_structure)
    at = real.columns.index("structure")
    volumes = atomic_volumes([row[at] for row in real.rows])
    generator = np.random.default_rng(seed)
    with atomic_path(out) as temporary, gzip.open(temporary, "wt", compresslevel=5) as file:
        header = {"index": rows.ids, "columns": ["structure", rows.task.target]}
        file.write(json.dumps(header)[:-1] + ', "data": [')
        for number, (cell, value) in enumerate(zip(rows.cells, rows.values, strict=True)):
            counts = {element.Z: float(count) for element, count in cell.items()}
            crystal = stand_in(counts, volumes, generator)
            file.write((", " if number else "") + json.dumps([as_dict(crystal), value]))
        file.write("]}")
    return (
        f"{out}: {len(rows.ids):,} rows with ids, compositions and targets of {rows.task.name}, "
        "and stand-in crystals that no calculation has seen"
    )


def as_dict(crystal: CrystalArrays) -> dict[str, Any]:
    """A crystal as Matbench's files hold it: what pymatgen's `Structure.from_dict` reads."""
    symbols = {int(number): _symbol(int(number)) for number in np.unique(crystal.numbers)}
    lattice = [[round(float(value), 6) for value in row] for row in crystal.lattice]
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": None,
        "lattice": {"matrix": lattice},
        "sites": [
            {
                "species": [{"element": symbols[int(number)], "occu": 1}],
                "abc": [round(float(value), 6) for value in place],
                "properties": {},
            }
            for number, place in zip(crystal.numbers, crystal.frac, strict=True)
        ],
    }


def _symbol(number: int) -> str:
    return str(Composition({number: 1}).elements[0].symbol)
