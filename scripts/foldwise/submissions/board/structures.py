"""Crystal structures of a task's rows, where somebody has them, as columns for a booster."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foldwise.common.files import read_parquet
from foldwise.statistics.metrics import Floats


def structure_file(folder: str | os.PathLike[str], task: str) -> Path | None:
    """`{folder}/{task}.json.gz` or `.json`, where there is one."""
    names = (f"{task}.json.gz", f"{task}.json")
    return next((Path(folder) / name for name in names if (Path(folder) / name).is_file()), None)


def structure_columns(path: str | os.PathLike[str] | None, ids: npt.NDArray[np.str_]) -> Floats:
    """The features of some rows `[n, s]`, NaN where there is no crystal; `[n, 0]` without a file.

    Raises:
        FoldwiseError: The file is missing or lacks a column.
    """
    if path is None:
        return np.empty((len(ids), 0))
    return read_parquet(path, ("id",)).set_index("id").reindex(ids).to_numpy(dtype=np.float64)
