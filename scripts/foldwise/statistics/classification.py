"""Metrics of two classes: how well probabilities rank, and whether they are what they say.

All functions take one-dimensional arrays of equal length `[n]`: classes 0 and 1, and the predicted
probability of class 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foldwise.statistics.metrics import Floats, check_pair, share_in_order

BINS = 10


def are_classes(target: npt.ArrayLike) -> bool:
    """Whether a column of targets holds 0 and 1, both of them and nothing else."""
    return set(np.unique(np.asarray(target, dtype=np.float64)).tolist()) == {0.0, 1.0}


def check_classes(target: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both columns, checked.

    Raises:
        ValueError: Unequal lengths, no rows, numbers that are not finite, a class that is neither 0
            nor 1, or a probability outside of 0 to 1.
    """
    true, predicted = check_pair(target, probability, ("target", "probability"))
    if not np.isin(true, (0.0, 1.0)).all():
        raise ValueError(f"target holds {true[~np.isin(true, (0.0, 1.0))][0]}, not 0 or 1")
    if predicted.min() < 0 or predicted.max() > 1:
        raise ValueError(f"probability goes from {predicted.min()} to {predicted.max()}")
    return true, predicted


def roc_auc(target: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """Probability that a row of class 1 is ranked above one of class 0 (`share_in_order`).

    `None` where there are rows of one class alone.
    """
    true, predicted = check_classes(target, probability)
    return share_in_order(true == 1, predicted) if 0 < true.mean() < 1 else None


def brier_score(target: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared difference of probability and class: 0 is perfect, 0.25 a constant half."""
    true, predicted = check_classes(target, probability)
    return float(np.mean((predicted - true) ** 2))


def calibration_table(
    target: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS
) -> list[dict[str, float | int]]:
    """Predicted probability and observed share of class 1 in bins of equal width with rows.

    Returns:
        `low`, `high`, `n`, `mean_probability` and `share_of_ones` of every bin.
    """
    true, predicted = check_classes(target, probability)
    edges = np.linspace(0.0, 1.0, bins + 1)
    number = np.searchsorted(edges[1:-1], predicted, side="left")
    return [
        {
            "low": float(edges[k]),
            "high": float(edges[k + 1]),
            "n": int((number == k).sum()),
            "mean_probability": float(predicted[number == k].mean()),
            "share_of_ones": float(true[number == k].mean()),
        }
        for k in np.unique(number)
    ]


def calibration_error(target: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Expected calibration error: the mean gap of `calibration_table`, weighed by rows."""
    table = calibration_table(target, probability)
    gaps = [row["n"] * abs(row["mean_probability"] - row["share_of_ones"]) for row in table]
    return float(sum(gaps) / sum(row["n"] for row in table))


def class_metrics(
    folds: Sequence[tuple[int, npt.ArrayLike, npt.ArrayLike]],
) -> dict[str, object]:
    """The `classification` block of `results.json`.

    Args:
        folds: Number, classes and probabilities of every fold.

    Returns:
        Per fold `roc_auc`, `brier` and `calibration_error`; their mean over folds and, of the
        area, the standard deviation (`ddof=0`, as Matbench); the calibration table over all rows.
    """
    each = [
        {
            "fold": fold,
            "roc_auc": roc_auc(target, probability),
            "brier": brier_score(target, probability),
            "calibration_error": calibration_error(target, probability),
        }
        for fold, target, probability in folds
    ]
    areas = [float(row["roc_auc"]) for row in each if row["roc_auc"] is not None]
    target = np.concatenate([np.asarray(one) for _, one, _ in folds])
    probability = np.concatenate([np.asarray(one) for _, _, one in folds])
    return {
        "roc_auc_mean": float(np.mean(areas)) if areas else None,
        "roc_auc_std": float(np.std(areas)) if areas else None,
        "brier": brier_score(target, probability),
        "calibration_error": calibration_error(target, probability),
        "folds": each,
        "calibration": calibration_table(target, probability),
    }
