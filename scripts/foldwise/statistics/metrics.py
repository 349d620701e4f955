"""Error metrics of a regression: pure functions on arrays, nothing else.

All functions take one-dimensional arrays of equal length `[n]` in the unit of the target and
raise `ValueError`, with the offending values in the message, on unequal lengths, empty arrays and
numbers that are not finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ABS_ERROR_PERCENTILES = (50, 90, 95, 99)


def check_column(values: npt.ArrayLike, name: str) -> Floats:
    """One column as float64 `[n]`.

    Raises:
        ValueError: The column is empty, not one-dimensional, or holds NaN or infinity.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {column.shape}")
    if column.size == 0:
        raise ValueError(f"{name} is empty")
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise ValueError(
            f"{name} holds {bad.size} value(s) that are not finite, "
            f"the first at index {bad[0]}: {column[bad[0]]}"
        )
    return column


def check_pair(
    first: npt.ArrayLike, second: npt.ArrayLike, names: tuple[str, str]
) -> tuple[Floats, Floats]:
    """Two columns of equal length, both checked by `check_column`.

    Raises:
        ValueError: As `check_column`, or the lengths differ.
    """
    left, right = check_column(first, names[0]), check_column(second, names[1])
    if left.shape != right.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} differ in length: {left.size} and {right.size}"
        )
    return left, right


def fold_metrics(target: npt.ArrayLike, prediction: npt.ArrayLike) -> dict[str, float | int]:
    """Metrics of one fold.

    Args:
        target: True values `[n]`.
        prediction: Predicted values `[n]`.

    Returns:
        `n`, `mae`, `rmse`, `max_abs_error`, `abs_err_p50|p90|p95|p99` (linear interpolation, as
        `numpy.percentile`), `residual_mean` (prediction minus target), and `pred_mean|std|min|max`
        (`ddof=0`).

    Raises:
        ValueError: See the module.
    """
    true, predicted = check_pair(target, prediction, ("target", "prediction"))
    residual = predicted - true
    error = np.abs(residual)
    percentiles = np.percentile(error, ABS_ERROR_PERCENTILES)
    return {
        "n": int(true.size),
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(residual**2))),
        "max_abs_error": float(error.max()),
        **{
            f"abs_err_p{rank}": float(value)
            for rank, value in zip(ABS_ERROR_PERCENTILES, percentiles, strict=True)
        },
        "residual_mean": float(residual.mean()),
        "pred_mean": float(predicted.mean()),
        "pred_std": float(predicted.std()),
        "pred_min": float(predicted.min()),
        "pred_max": float(predicted.max()),
    }


def aggregate_folds(folds: Sequence[Mapping[str, float | int]]) -> dict[str, float | int]:
    """Mean over folds of what `fold_metrics` returns; deviations with `ddof=0`, as Matbench.

    Raises:
        ValueError: There is no fold.
    """
    if not folds:
        raise ValueError("folds is empty")

    def column(name: str) -> Floats:
        return np.array([fold[name] for fold in folds], dtype=np.float64)

    return {
        "n": int(column("n").sum()),
        "mae_mean": float(column("mae").mean()),
        "mae_std": float(column("mae").std()),
        "rmse_mean": float(column("rmse").mean()),
        "rmse_std": float(column("rmse").std()),
        "max_abs_error_max": float(column("max_abs_error").max()),
        **{
            f"abs_err_p{rank}_mean": float(column(f"abs_err_p{rank}").mean())
            for rank in ABS_ERROR_PERCENTILES
        },
    }


def target_bins(target: npt.ArrayLike, bins: int = 5) -> tuple[Ints, Floats]:
    """Number each row by its target quantile.

    A bin holds the values above its lower edge up to and with its upper edge, the first also its
    lower edge. Equal targets always share a bin, so where many targets are equal (a hull energy of
    zero, a metal's band gap) a bin may be larger than the others and the next one empty.

    Args:
        target: True values `[n]`.
        bins: Number of quantile bins.

    Returns:
        Bin of each row `[n]`, 1 (lowest) to `bins`, and the `bins + 1` edges.
    """
    true = check_column(target, "target")
    edges = np.quantile(true, np.linspace(0.0, 1.0, bins + 1))
    return np.searchsorted(edges[1:-1], true, side="left").astype(np.int64) + 1, edges


def mae_by_target_quantile(
    target: npt.ArrayLike, prediction: npt.ArrayLike, bins: int = 5
) -> dict[str, float]:
    """MAE in each target quantile bin that has rows: `{"q1": …, …}`, `q1` the lowest targets."""
    true, predicted = check_pair(target, prediction, ("target", "prediction"))
    number, _ = target_bins(true, bins)
    error = np.abs(predicted - true)
    return {f"q{k}": float(error[number == k].mean()) for k in np.unique(number)}


def disagreement_stats(std: npt.ArrayLike, abs_error: npt.ArrayLike) -> dict[str, float | None]:
    """How far the members of an ensemble differ, and whether that tells where the mean is wrong.

    Args:
        std: Standard deviation over the members, per row `[n]`.
        abs_error: Absolute error of the ensemble mean, per row `[n]`.

    Returns:
        `disagreement_mean`, `disagreement_p90`, and the Pearson and Spearman correlation of the
        two columns (`None` where one of them is constant).
    """
    spread, error = check_pair(std, abs_error, ("std", "abs_error"))
    return {
        "disagreement_mean": float(spread.mean()),
        "disagreement_p90": float(np.percentile(spread, 90)),
        "correlation_pearson": correlation(spread, error),
        "correlation_spearman": correlation(ranks(spread), ranks(error)),
    }


def correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float | None:
    """Pearson correlation of two columns `[n]`; `None` where one of them is constant."""
    left, right = check_pair(first, second, ("first", "second"))
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(np.corrcoef(left, right)[0, 1])


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, `[n]`, smallest first; equal values share their mean rank (SciPy)."""
    # Most of a second to import, in every job and whenever the workflow is parsed.
    from scipy.stats import rankdata  # noqa: PLC0415

    return np.asarray(rankdata(values), dtype=np.float64)


def share_in_order(positive: NDArray[np.bool_], values: ArrayLike) -> float:
    """Share of the pairs of a positive and another row `[n]` in which its value is larger.

    Ties count half. The statistic of Mann and Whitney, which is the area under the receiver
    operating characteristic (Hanley and McNeil, *Radiology* 143, 1982).
    """
    ones = int(positive.sum())
    placed = float(ranks(values)[positive].sum())
    return (placed - ones * (ones + 1) / 2) / (ones * (len(positive) - ones))
