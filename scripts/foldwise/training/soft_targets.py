"""Soft targets as a student sees them: values and weights for the rows it fits."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.study.recipe import Teacher

COLUMNS = ("id", "mean", "std", "n")


@dataclass(frozen=True)
class SoftTargets:
    """Soft targets by crystal id.

    Attributes:
        ids: Ids of crystals, or of copies (`foldwise.crystals.names.copy_id`).
        values: Mean prediction of the teachers in target units, shape [n].
        weights: Weight of each value, mean 1, shape [n].
    """

    ids: list[str]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]


def read_soft_targets(path: str | os.PathLike[str], teacher: Teacher) -> SoftTargets:
    """Read an ensemble's file and weigh its rows as the recipe says.

    Raises:
        FoldwiseError: A column is missing, no row is left, or a value is not finite.
    """
    table = read_parquet(path, COLUMNS)
    if table.empty or not np.isfinite(table[["mean", "std"]].to_numpy()).all():
        raise FoldwiseError(
            "the soft targets are empty or not finite",
            where=str(path),
            hint="Delete the file and run the ensemble again.",
        )
    return SoftTargets(
        ids=[str(crystal) for crystal in table["id"]],
        values=table["mean"].to_numpy(dtype=np.float64),
        weights=_weights(table, teacher),
    )


def _weights(table: pd.DataFrame, teacher: Teacher) -> NDArray[np.float64]:
    """Ones, or `1 / (1 + (std / median std)²)` scaled to a mean of 1."""
    if teacher.weighting == "uniform":
        return np.ones(len(table))
    spread = table["std"].to_numpy(dtype=np.float64)
    typical = float(np.median(spread))
    if typical == 0:
        return np.ones(len(table))
    weights = 1 / (1 + (spread / typical) ** 2)
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled
