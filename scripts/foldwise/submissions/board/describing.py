"""From a dataset with crystals to the table of numbers that a booster sees of them."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.common.workers import worker_pool
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import CrystalError, check_crystal, parse_or_failure
from foldwise.crystals.structure_features import STRUCTURE_FEATURES, structure_features
from foldwise.tasks.identifiers import crystal_ids
from foldwise.tasks.matbench_json import read_split_json

_CHUNK = 64  # crystals that a worker is given at once


def describe_structures(
    path: str | os.PathLike[str], task: str, out: str | os.PathLike[str], workers: int = 1
) -> int:
    """Write id and `STRUCTURE_FEATURES` of the crystals of a dataset in Matbench's format.

    Targets that the file may hold are not read. Crystals that cannot be read are left out: their
    rows are combined from what else is known of them.

    Args:
        path: The dataset; it may hold some rows of the task only.
        task: The official task, whose ids it has.
        out: Parquet file.
        workers: Processes.

    Returns:
        How many crystals were described.

    Raises:
        FoldwiseError: The file is broken, has no column `structure`, names other rows than the
            task's, or holds no readable crystal.
    """
    table = read_split_json(path, parse_or_failure)
    if "structure" not in table.columns:
        raise FoldwiseError(
            "it has no column 'structure'",
            where=str(path),
            hint="Give the task's dataset as Matbench ships it.",
        )
    ids = crystal_ids(table.index, task, str(path))
    column = table.columns.index("structure")
    cells = [row[column] for row in table.rows]
    if workers <= 1:
        found = [_features(cell) for cell in cells]
    else:
        with worker_pool(workers, "spawn") as pool:
            found = list(pool.map(_features, cells, chunksize=_CHUNK))
    known = [(name, values) for name, values in zip(ids, found, strict=True) if values is not None]
    if not known:
        raise FoldwiseError(
            f"none of its {len(ids)} crystals can be read",
            where=str(path),
            hint="Give the task's dataset as Matbench ships it.",
        )
    features = pd.DataFrame([values for _, values in known], columns=list(STRUCTURE_FEATURES))
    features.insert(0, "id", [name for name, _ in known])
    write_parquet(out, features)
    return len(known)


def _features(cell: object) -> npt.NDArray[np.float64] | None:
    if not isinstance(cell, CrystalArrays):
        return None
    try:
        check_crystal(cell)
    except CrystalError:
        return None
    return structure_features(cell)
