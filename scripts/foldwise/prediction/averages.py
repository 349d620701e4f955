"""Averages of several models' predictions: answers of an ensemble, soft targets of a student."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet

KINDS = ("mean", "crossfit")


def combine(paths: Sequence[str | os.PathLike[str]], kind: str) -> pd.DataFrame:
    """Combine the predictions of several models of one fold.

    Args:
        paths: One prediction file per member, all about the same crystals.
        kind: `mean` averages all members. `crossfit` averages those that held a crystal out, and
            leaves out crystals that no member held out.

    Returns:
        Columns `id`, `mean`, `std` (of all members, `ddof=0`: their disagreement) and `n`
        (members in the mean).

    Raises:
        FoldwiseError: The members speak of different crystals, or nothing is left.
    """
    columns = ("id", "prediction", "held_out") if kind == "crossfit" else ("id", "prediction")
    tables = [read_parquet(path, columns) for path in paths]
    ids = tables[0]["id"].tolist()
    for path, table in zip(paths, tables, strict=True):
        if table["id"].tolist() != ids:
            raise FoldwiseError(
                f"it holds other crystals than {paths[0]}",
                where=str(path),
                hint="Predict the same subset of the same fold with every member.",
            )
    values = np.stack([table["prediction"].to_numpy(dtype=np.float64) for table in tables])
    if kind == "crossfit":
        used = np.stack([table["held_out"].to_numpy(dtype=bool) for table in tables])
    else:
        used = np.ones(values.shape, dtype=bool)
    n = used.sum(axis=0)
    keep = n > 0
    if not keep.any():
        raise FoldwiseError(
            "no member held any training row out",
            where=str(paths[0]),
            hint="Use soft targets in_sample, or give each teacher a hold-out.",
        )
    mean = np.where(used, values, 0.0).sum(axis=0) / np.maximum(n, 1)
    table = pd.DataFrame({"id": ids, "mean": mean, "std": values.std(axis=0), "n": n})
    kept: pd.DataFrame = table[keep].reset_index(drop=True)
    return kept
