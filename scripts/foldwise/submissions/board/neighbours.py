"""What the rows of other folds with the same composition say about a row."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.rows import Ints


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
