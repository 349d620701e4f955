"""The embedded subsets of official Matbench tasks: checked against their sources, and their card.

The files are kept as they are, byte for byte. What can be recomputed is that they say what they
claim to say: every structure is one of `flla_2015.csv`, every target the official one of its id.
"""

from __future__ import annotations

import ast
import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.identifiers import crystal_ids
from foldwise.tasks.matbench_json import read_split_json
from foldwise.tasks.official import OfficialTask, official_task
from maintenance.embedded.selection import CSV_MEMBER, CSV_SHA256

_DECIMALS = 6  # of lattice (Å) and fractional coordinates in the files
LICENCE = "structures CC BY 4.0 (Materials Project); targets and ids MIT (Matbench)"
CITATIONS = (
    "F. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, Int. J. Quantum Chem. 115, "
    "1094 (2015), doi:10.1002/qua.24917",
    "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323 (Materials Project)",
    "A. Dunn, Q. Wang, A. Ganose, D. Dopp, A. Jain, npj Comput. Mater. 6, 138 (2020), "
    "doi:10.1038/s41524-020-00406-3 (Matbench)",
)
NOTES = (
    "Not the official file: the rows of the task whose crystals Faber et al. chose, with their "
    "official ids, folds and targets. An MAE on them is not comparable with the leaderboard. "
    "Pretrained CHGNet has presumably seen most of these materials (MPtrj)."
)


def subset_card(
    path: str | os.PathLike[str],
    source: pd.DataFrame,
    official_targets: str | os.PathLike[str],
    *,
    target_name: str,
) -> dict[str, Any]:
    """Check the rows of a subset against their sources and describe them.

    Args:
        path: The subset, `{task}.json.gz`, in Matbench's format.
        source: `flla_2015.csv`, as `read_source` of the room's selection gives it.
        official_targets: `{task}.csv.gz` with an id, a composition and the target of every
            official row.
        target_name: What reports call the target.

    Raises:
        FoldwiseError: A structure is not among those of the source, or a target is not Matbench's.
    """
    file = Path(path)
    task = file.name.removesuffix(".json.gz")
    official = official_task(task)
    if official is None:
        raise FoldwiseError("the name is no official task's", where=str(file), hint="Rename it.")
    table = read_split_json(file, parse_structure)
    ids = crystal_ids(table.index, task, str(file))
    crystals: list[CrystalArrays] = [row[table.columns.index("structure")] for row in table.rows]
    targets = [float(row[table.columns.index(official.target)]) for row in table.rows]
    _check_structures(ids, crystals, source, str(file))
    _check_targets(dict(zip(ids, targets, strict=True)), official, official_targets)
    sizes = np.array([len(crystal.numbers) for crystal in crystals])
    values = np.array(targets)
    return {
        "file": file.name,
        "sha256": file_sha256(file),
        "description": f"{len(ids):,} of the {official.n_samples:,} rows of {task}: the crystals "
        "of flla_2015.csv (matminer 0.4.2)",
        "source": {"member": CSV_MEMBER, "sha256": CSV_SHA256},
        "commands": [
            "pip download --no-deps --no-binary :all: matminer==0.4.2",
            "python scripts/maintenance/check_embedded_subset.py --sdist matminer-0.4.2.tar.gz "
            f"--targets {task}.csv.gz --target-name {target_name!r} --file data/{file.name}",
        ],
        "licence": LICENCE,
        "citations": list(CITATIONS),
        "notes": NOTES,
        "n_official": official.n_samples,
        "n_crystals": len(ids),
        "n_elements": len(np.unique(np.concatenate([crystal.numbers for crystal in crystals]))),
        "atoms": {
            "min": int(sizes.min()),
            "mean": round(float(sizes.mean()), 2),
            "max": int(sizes.max()),
            "total": int(sizes.sum()),
        },
        "tasks": {
            task: {
                "column": official.target,
                "target_name": target_name,
                "unit": official.unit,
                "intensive": True,
                **target_statistics(values),
            }
        },
    }


def target_statistics(values: Sequence[float] | np.ndarray[Any, Any]) -> dict[str, float]:
    """Extent, mean and standard deviation (`ddof=0`) of targets, for a card."""
    array = np.asarray(values, dtype=np.float64)
    return {
        "min": round(float(array.min()), 6),
        "max": round(float(array.max()), 6),
        "mean": round(float(array.mean()), 6),
        "std": round(float(array.std()), 6),
    }


def _check_structures(
    ids: Sequence[str], crystals: Sequence[CrystalArrays], source: pd.DataFrame, where: str
) -> None:
    known = {_rounded(parse_structure(ast.literal_eval(text))) for text in source["structure"]}
    foreign = [
        name for name, crystal in zip(ids, crystals, strict=True) if _rounded(crystal) not in known
    ]
    if foreign:
        raise FoldwiseError(
            f"{len(foreign)} structure(s) are not of flla_2015.csv, the first is {foreign[0]!r}",
            where=where,
            hint="Restore the file from the repository (git checkout data/).",
        )


def _rounded(crystal: CrystalArrays) -> tuple[tuple[float, ...], ...]:
    """Elements, lattice and coordinates as the files hold them; adding zero removes -0.0."""
    lattice, frac = (
        tuple((array.round(_DECIMALS) + 0.0).ravel().tolist())
        for array in (crystal.lattice, crystal.frac)
    )
    return tuple(crystal.numbers.tolist()), lattice, frac


def _check_targets(
    ours: Mapping[str, float], official: OfficialTask, path: str | os.PathLike[str]
) -> None:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            theirs = {row[0]: row[-1] for row in csv.reader(file)}
    except OSError as error:
        raise FoldwiseError(
            f"the official targets cannot be read ({error})",
            where=str(path),
            hint="Give a csv.gz with the columns id, composition and target.",
        ) from error
    other = [name for name, value in ours.items() if float(theirs.get(name, "nan")) != value]
    if other:
        raise FoldwiseError(
            f"{len(other)} target(s) are not those of {official.name}, the first is {other[0]!r}",
            where=str(path),
            hint="Give the official table of this task.",
        )
