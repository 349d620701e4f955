"""The columns that a booster sees, those from rows with the same composition among them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.crystals.names import fraction_table
from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.rows import Ints, Rows
from foldwise.submissions.boosting import composition_features, member_features

Matrix = npt.NDArray[np.float32]


class Features:
    """Columns of all rows of a task; what does not depend on the fold is computed once, if needed.

    Attributes:
        rows: The rows.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._members = member_features(rows.values)

    @cached_property
    def _composition(self) -> Floats:
        formulas = self.rows.formulas.tolist()
        return np.hstack([composition_features(formulas), fraction_table(pd.Series(formulas))])

    def matrix(self, groups: Collection[str], known: Collection[int], base: Floats) -> Matrix:
        """The columns of `groups` for all rows `[n, p]`, single precision.

        Args:
            groups: Of "neighbours", "composition", "beside" and "structure"; the members' columns
                are always there.
            known: Folds whose labels may be used.
            base: The prediction that is corrected `[n]`.
        """
        rows = self.rows
        parts = [self._members, base[:, None]]
        if "neighbours" in groups:
            parts += [
                neighbour_features(codes, rows.fold, known, rows.target, base)
                for codes in (rows.formula_codes, rows.system_codes)
            ]
        if "composition" in groups:
            parts.append(self._composition)
        if "beside" in groups:
            parts.append(rows.beside)
        if "structure" in groups:
            parts.append(rows.structure)
        return np.hstack(parts, dtype=np.float32, casting="same_kind")


def neighbour_features(
    codes: Ints, fold: Ints, known: Collection[int], target: Floats, base: Floats
) -> Floats:
    """Count, mean target and mean residual over the known rows with the same code.

    A row's own fold is left out: a training row then sees its neighbours as a test row sees them,
    and never itself or its polymorphs of the same fold.

    Args:
        codes: A number for each formula, or for each chemical system `[n]`.
        fold: Fold of each row `[n]`.
        known: Folds whose labels may be used.
        target: True values `[n]`; those of other folds than `known` are not read.
        base: The prediction that the residual is taken from `[n]`.

    Returns:
        `[n, 3]`; the means are NaN where the count is 0.
    """
    folds = max(*known, int(fold.max())) + 1
    totals = np.zeros((int(codes.max()) + 1, folds, 3))
    for number in known:
        rows = fold == number
        residual = target[rows] - base[rows]
        for place, weights in enumerate((np.ones(int(rows.sum())), target[rows], residual)):
            totals[:, number, place] = np.bincount(
                codes[rows], weights=weights, minlength=len(totals)
            )
    others = totals.sum(axis=1)[codes] - totals[codes, fold]
    # Counts are exact; a sum of which everything was subtracted again may keep some 1e-17.
    counts = others[:, :1]
    means = np.where(counts > 0, others[:, 1:] / np.maximum(counts, 1.0), np.nan)
    return np.hstack([counts, means])
