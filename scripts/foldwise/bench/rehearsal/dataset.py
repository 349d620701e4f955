"""A file in Matbench's own format with official ids and targets, and stand-in crystals."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core.composition import Composition

from foldwise.bench.rehearsal.crystals import atomic_volumes, stand_in
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, atomic_path
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.matbench_json import read_split_json
from foldwise.tasks.official import OfficialTask, official_task

REAL = REPOSITORY / "data" / "matbench_mp_e_form.json.gz"
"""The real crystals whose volumes the stand-ins take."""
TARGETS = REPOSITORY.parent / "shared" / "data" / "targets"


def compositions_of(
    task: OfficialTask, targets: str | os.PathLike[str] | None
) -> tuple[list[str], list[Composition], list[float]]:
    """Official ids, compositions of whole cells and targets of every row.

    They come from a CSV with `mbid`, `composition` and the target's column, else from the official
    file where it has been downloaded.

    Args:
        task: The task.
        targets: The CSV; by default that of the shared data.

    Raises:
        FoldwiseError: Neither is there, or the CSV is no table of this task.
    """
    table_path = Path(targets) if targets else TARGETS / f"{task.name}.csv.gz"
    if table_path.is_file():
        return _from_table(task, table_path)
    if task.file_path.is_file():
        table = read_split_json(task.file_path, parse_structure)
        cell, target = (table.columns.index(name) for name in ("structure", task.target))
        return (
            [task.crystal_id(row) for row in range(len(table.rows))],
            [_composition(row[cell]) for row in table.rows],
            [float(row[target]) for row in table.rows],
        )
    raise FoldwiseError(
        "neither a table of compositions nor the official download is there",
        where=f"{table_path}, {task.file_path}",
        hint="Give --targets a CSV with mbid, composition and target, or download the task.",
    )


def _from_table(task: OfficialTask, path: Path) -> tuple[list[str], list[Composition], list[float]]:
    try:
        table = pd.read_csv(path)
        ids = table["mbid"].astype(str).tolist()
        values = table[task.target].astype(float).tolist()
        cells = [Composition(text) for text in table["composition"]]
    except (OSError, KeyError, ValueError) as error:
        raise FoldwiseError(
            f"no table of {task.name} ({error})",
            where=str(path),
            hint=f"It needs mbid, composition and {task.target}.",
        ) from error
    if len(ids) != task.n_samples:
        raise FoldwiseError(
            f"{len(ids)} rows instead of {task.n_samples}", where=str(path), hint="Give all rows."
        )
    return ids, cells, values


def _composition(crystal: CrystalArrays) -> Composition:
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    return Composition(
        {int(number): int(count) for number, count in zip(numbers, counts, strict=True)}
    )


def write_rehearsal(
    task_name: str, out: Path, *, targets: str | os.PathLike[str] | None, seed: int = 0
) -> int:
    """Write the dataset of a rehearsal, row by row; returns the number of rows.

    Args:
        task_name: Official task with structures and a numeric target.
        out: File to write, `….json.gz`.
        targets: See `compositions_of`.
        seed: Decides the crystals.

    Raises:
        FoldwiseError: The task is unknown, or its compositions are not there.
    """
    task = official_task(task_name)
    if task is None:
        raise FoldwiseError(
            f"{task_name!r} is no official task", where="--task", hint="As in matbench_jdft2d."
        )
    ids, cells, values = compositions_of(task, targets)
    real = read_split_json(REAL, parse_structure)
    at = real.columns.index("structure")
    volumes = atomic_volumes([row[at] for row in real.rows])
    generator = np.random.default_rng(seed)
    with atomic_path(out) as temporary, gzip.open(temporary, "wt", compresslevel=5) as file:
        header = {"index": ids, "columns": ["structure", task.target]}
        file.write(json.dumps(header)[:-1] + ', "data": [')
        for number, (cell, value) in enumerate(zip(cells, values, strict=True)):
            counts = {element.Z: float(count) for element, count in cell.items()}
            crystal = stand_in(counts, volumes, generator)
            file.write((", " if number else "") + json.dumps([as_dict(crystal), value]))
        file.write("]}")
    return len(ids)


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
