"""The rows of one task, what every member predicted for them, and features of structures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foldwise.common.files import read_parquet
from foldwise.statistics.metrics import Floats

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
COLUMNS = ("id", "formula", "fold", "target")
"""Columns of a table of members; every other one is a member."""
_SYMBOL = re.compile(r"[A-Z][a-z]?")


@dataclass(frozen=True)
class Rows:
    """Rows of a task, in dataset order.

    Attributes:
        task: Its name.
        classification: Whether the target is a class (0 or 1), predicted by a probability.
        names: Members `[m]`.
        ids: Row ids `[n]`.
        formulas: Reduced formulas `[n]`.
        fold: In which official fold a row is a test row `[n]`.
        target: True values `[n]`.
        values: Predictions of the members `[n, m]`, each of a model that did not train on the row.
        beside: What members of other tasks predicted for the same formula `[n, b]`, NaN where they
            know none.
        structure: Numbers of its crystal structure `[n, s]`, NaN where nobody has one.
        low: Smallest value that physics allows, or None.
    """

    task: str
    classification: bool
    names: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    formulas: npt.NDArray[np.str_]
    fold: Ints
    target: Floats
    values: Floats
    beside: Floats
    structure: Floats
    low: float | None

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds."""
        return sorted(set(self.fold.tolist()))

    @cached_property
    def formula_codes(self) -> Ints:
        """A number for each formula `[n]`."""
        return np.unique(self.formulas, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def system_codes(self) -> Ints:
        """A number for each chemical system, the set of elements `[n]`."""
        known, code = np.unique(self.formulas, return_inverse=True)
        systems = ["-".join(sorted(set(_SYMBOL.findall(str(formula))))) for formula in known]
        return np.unique(systems, return_inverse=True)[1][code].astype(np.int64)

    def without(self, name: str) -> Rows:
        """The same rows without one member."""
        kept = [index for index, other in enumerate(self.names) if other != name]
        return replace(
            self, names=tuple(self.names[index] for index in kept), values=self.values[:, kept]
        )

    def clipped(self, prediction: Floats) -> Floats:
        """Predictions `[n]` moved into the range that physics allows."""
        if self.classification:
            return np.clip(prediction, 0.0, 1.0)
        return prediction if self.low is None else np.maximum(prediction, self.low)


def read_rows(
    path: str | os.PathLike[str],
    task: str,
    *,
    classification: bool,
    low: float | None = None,
    others: Sequence[str | os.PathLike[str]] = (),
    structures: str | os.PathLike[str] | None = None,
) -> Rows | None:
    """Read the table of members of a task; None where it has no member.

    Args:
        path: Table with `COLUMNS` and a column for each member.
        task: Name of the task.
        classification: Whether the target is a class.
        low: Smallest value that physics allows.
        others: Tables of other tasks, whose members say something about the same compounds.
        structures: Table of the task's crystals (`describing.describe_structures`).

    Raises:
        FoldwiseError: A file is missing or lacks a column.
    """
    table = read_parquet(path, COLUMNS)
    names = tuple(str(name) for name in table.columns if name not in COLUMNS)
    if not names:
        return None
    formulas = table["formula"].to_numpy(dtype=np.str_)
    ids = table["id"].to_numpy(dtype=np.str_)
    columns = [column for other in others for column in _beside(other, formulas)]
    return Rows(
        task=task,
        classification=classification,
        names=names,
        ids=ids,
        formulas=formulas,
        fold=table["fold"].to_numpy(dtype=np.int64),
        target=table["target"].to_numpy(dtype=np.float64),
        values=table[list(names)].to_numpy(dtype=np.float64),
        beside=np.column_stack(columns) if columns else np.empty((len(ids), 0)),
        structure=structure_columns(structures, ids),
        low=low,
    )


def _beside(path: str | os.PathLike[str], formulas: npt.NDArray[np.str_]) -> list[Floats]:
    """Mean, lowest and highest of another task's consensus over the rows of a formula, `[n]` each.

    The consensus of a row is the median of what the members predicted for it; no target is read.
    """
    table = read_parquet(path, COLUMNS)
    names = [name for name in table.columns if name not in COLUMNS]
    if not names:
        return []
    consensus = table[names].median(axis=1).groupby(table["formula"].astype(str))
    # pandas-stubs know no such list of aggregations
    return [
        np.asarray(values.reindex(formulas), dtype=np.float64)
        for values in (consensus.mean(), consensus.min(), consensus.max())
    ]


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
