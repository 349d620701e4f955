"""Intervals and tests of a mean absolute error, and of the difference of two on the same rows.

Two things vary between studies, and both belong in an interval. The first is the choice of test
crystals: polymorphs share a formula, and with it much of what makes a row hard, so a formula is
left out with all its rows and the variance is that of the delete-one jackknife over formulas
(Efron and Stein, *Annals of Statistics* 9, 586, 1981; the CR3 variance of MacKinnon and White,
*Journal of Econometrics* 29, 305, 1985). The second is the training seed: if an experiment was
trained `R` times, the variance of its replicates' errors over `R` is added, for each side.

The sum of the two goes with Student's t, its degrees of freedom by Satterthwaite (*Biometrics
Bulletin* 2, 110, 1946) from the formulas and from the replicates of each side. Percentiles of
resampled seed means are no substitute: three means are not a distribution (Colas et al.,
arXiv:1806.08295). `scripts/maintenance/simulate_stars.py` measures type I error and power.

The interval of a single mean of values that cannot be negative is made on the logarithmic scale,
which covers skewed errors better and never reaches below zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from foldwise.statistics import STAR_REPLICATES
from foldwise.statistics.metrics import Floats, Ints, check_pair

CONFIDENCE = 0.95
ROWS, FORMULAS = "rows", "formulas"


@dataclass(frozen=True)
class Interval:
    """An interval of a mean, or of a difference of means.

    Attributes:
        estimate: The observed value.
        low: Lower end.
        high: Upper end.
        confidence: Nominal coverage, e.g. 0.95.
        rows: Number of rows.
        clusters: Number of formulas; `None` if rows are not clustered.
        method: What the interval covers: "formulas", or "rows" if all rows are of one formula, with
            " and seeds" if a side was trained more than once.
        replicates: Replicates of the judged side, then of the other one if there is one.
        p_value: Two-sided, of the hypothesis that the true value is zero.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    rows: int
    clusters: int | None = None
    method: str = FORMULAS
    replicates: tuple[int, ...] = (1,)
    p_value: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def covers_seeds(self) -> bool:
        """Whether it covers other training seeds: each side was trained more than once."""
        return min(self.replicates) > 1

    @property
    def can_have_star(self) -> bool:
        """Whether each side was trained often enough for a claim about the method."""
        return min(self.replicates) >= STAR_REPLICATES


@dataclass(frozen=True)
class Share:
    """A ratio of two differences, with its interval.

    Attributes:
        estimate: The share.
        low: Lower end; `None` if the denominator cannot be told from zero, so that the share has no
            bounds (Fieller, *JRSS B* 16, 175, 1954).
        high: Upper end.
        replicates: Replicates of each column set that it is made of.
    """

    estimate: float
    low: float | None
    high: float | None
    replicates: tuple[int, ...]


@dataclass(frozen=True)
class ClusteredMeans:
    """Means of several columns of values on the same rows, and how they vary with the formulas.

    Attributes:
        observed: Mean of each column over all rows `[columns]`.
        deviations: What leaving out each cluster does to each mean `[clusters, columns]`, scaled so
            that `deviations.T @ deviations` is the jackknife covariance of the means.
        rows: Number of rows.
        clusters: Number of clusters; 1 if each row counted as a cluster for want of a second one.
    """

    observed: Floats
    deviations: Floats
    rows: int
    clusters: int

    def interval(
        self, own: Sequence[int], other: Sequence[int] = (), *, confidence: float = CONFIDENCE
    ) -> Interval:
        """Interval of the mean over columns `own`, less that over columns `other`.

        Args:
            own: Columns of the replicates of one experiment.
            other: Those of the experiment that it is compared with; none for a mean by itself.
            confidence: Nominal coverage, between 0 and 1.

        Raises:
            ValueError: The confidence makes no sense.
        """
        _check_confidence(confidence)
        sides = [(own, 1.0), (other, -1.0)] if other else [(own, 1.0)]
        estimate = sum(sign * self._mean(columns) for columns, sign in sides)
        variance, freedom = self._variance(sides)
        error = float(np.sqrt(variance))
        reach = float(stdtrit(freedom, (1.0 + confidence) / 2.0)) * error
        low, high = estimate - reach, estimate + reach
        if not other and estimate > 0.0 and bool((self.observed[list(own)] >= 0.0).all()):
            low, high = (estimate * float(np.exp(sign * reach / estimate)) for sign in (-1.0, 1.0))
        p_value = (
            2.0 * float(stdtr(freedom, -abs(estimate) / error)) if error else float(estimate == 0.0)
        )
        counts = tuple(len(columns) for columns, _ in sides)
        method = ROWS if self.clusters == 1 else FORMULAS
        if max(counts) > 1:
            method += " and seeds"
        return Interval(
            estimate, low, high, confidence, self.rows, self.clusters, method, counts, p_value
        )

    def share(
        self,
        single: Sequence[int],
        ensemble: Sequence[int],
        arm: Sequence[int],
        *,
        confidence: float = CONFIDENCE,
    ) -> Share:
        """The share `(single - arm) / (single - ensemble)` of an ensemble's gain that an arm keeps.

        1 if the arm is as accurate as the ensemble, 0 if it is only as accurate as one model. The
        interval is Fieller's.

        Args:
            single: Columns of the replicates of one model.
            ensemble: Those of the ensemble.
            arm: Those of the model in question.
            confidence: Nominal coverage, between 0 and 1.

        Raises:
            ValueError: The confidence makes no sense.
        """
        _check_confidence(confidence)
        counts = (len(single), len(ensemble), len(arm))
        kept = self._mean(single) - self._mean(arm)
        gain = self._mean(single) - self._mean(ensemble)
        if gain == 0.0:
            return Share(float("nan"), None, None, counts)
        estimate = kept / gain
        # Satterthwaite's degrees of freedom of the numerator less the share times the denominator.
        _, freedom = self._variance([(single, 1.0 - estimate), (ensemble, estimate), (arm, -1.0)])
        square = float(stdtrit(freedom, (1.0 + confidence) / 2.0)) ** 2
        of_kept, _ = self._variance([(single, 1.0), (arm, -1.0)])
        of_gain, _ = self._variance([(single, 1.0), (ensemble, -1.0)])
        # Twice the covariance is what the variance of the sum has beyond those of its two parts.
        both, _ = self._variance([(single, 2.0), (ensemble, -1.0), (arm, -1.0)])
        covariance = (both - of_kept - of_gain) / 2.0
        leading = gain**2 - square * of_gain
        if leading <= 0.0:
            return Share(estimate, None, None, counts)
        middle = (kept * gain - square * covariance) / leading
        inside = middle**2 - (kept**2 - square * of_kept) / leading
        reach = float(np.sqrt(max(inside, 0.0)))
        return Share(estimate, middle - reach, middle + reach, counts)

    def _mean(self, columns: Sequence[int]) -> float:
        return float(self.observed[list(columns)].mean())

    def _variance(self, sides: Sequence[tuple[Sequence[int], float]]) -> tuple[float, float]:
        """Variance of a weighted sum of means over columns, and its degrees of freedom."""
        summed = sum(
            (weight * self.deviations[:, list(columns)].mean(axis=1) for columns, weight in sides),
            start=np.zeros(len(self.deviations)),
        )
        parts = [(float(summed @ summed), len(self.deviations) - 1)]
        for columns, weight in sides:
            if len(columns) > 1:
                spread = float(self.observed[list(columns)].var(ddof=1))
                parts.append((weight**2 * spread / len(columns), len(columns) - 1))
        total = sum(part for part, _ in parts)
        if total == 0.0:
            return 0.0, float(parts[0][1])
        return total, 1.0 / sum((part / total) ** 2 / freedom for part, freedom in parts)


def clustered_means(values: npt.ArrayLike, clusters: npt.ArrayLike) -> ClusteredMeans:
    """Means of the columns of `values` `[n, columns]`, whole clusters left out in turn.

    Args:
        values: One number per row and column.
        clusters: The cluster of each row `[n]`, for crystals the reduced formula. If all rows share
            one, each row is a cluster.

    Raises:
        ValueError: Fewer than two rows, values that are not finite, or another number of clusters.
    """
    table = np.asarray(values, dtype=np.float64)
    codes, known = _codes(table, clusters)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in table.T])
    sizes = np.bincount(codes).astype(np.float64)[:, None]
    count = len(sums)
    left = (sums.sum(axis=0) - sums) / (len(table) - sizes)
    deviations = np.sqrt((count - 1) / count) * (left - left.mean(axis=0))
    return ClusteredMeans(table.mean(axis=0), deviations, len(table), known)


def mean_interval(
    values: npt.ArrayLike, clusters: npt.ArrayLike, *, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the mean of `values` `[n]`; arguments and errors as of `clustered_means`."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    return clustered_means(column, clusters).interval([0], confidence=confidence)


def mae_interval(
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of the MAE on `target` `[n]`; of several replicates of their mean MAE.

    Args:
        target: True values.
        prediction: Predictions `[n]` or `[replicates, n]`.
        clusters: Reduced formula of each row `[n]`.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: As `clustered_means`, or the confidence makes no sense.
    """
    errors = absolute_errors(target, prediction)
    means = clustered_means(errors, clusters)
    return means.interval(range(errors.shape[1]), confidence=confidence)


def mae_difference_interval(
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Paired interval of MAE(prediction) minus MAE(reference) on the same rows `[n]`.

    A negative estimate means that `prediction` has the smaller error. A formula that is left out
    takes its errors from both sides, so what makes a row hard for both models cancels.

    Args:
        target: True values `[n]`.
        prediction: Predictions `[n]`, or `[replicates, n]`.
        reference: Those of the other side, likewise.
        clusters: Reduced formula of each row `[n]`.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: As `clustered_means`, or the confidence makes no sense.
    """
    means, columns = paired_means(target, {"own": prediction, "other": reference}, clusters)
    return means.interval(columns["own"], columns["other"], confidence=confidence)


def paired_means(
    target: npt.ArrayLike, predictions: Mapping[str, npt.ArrayLike], clusters: npt.ArrayLike
) -> tuple[ClusteredMeans, dict[str, range]]:
    """Mean absolute errors of several experiments on the same rows.

    Args:
        target: True values `[n]`.
        predictions: By experiment, `[n]` or `[replicates, n]`.
        clusters: Reduced formula of each row `[n]`.

    Returns:
        The means, and the columns of each experiment's replicates in them.

    Raises:
        ValueError: As `clustered_means`.
    """
    errors = {name: absolute_errors(target, rows) for name, rows in predictions.items()}
    columns, start = {}, 0
    for name, own in errors.items():
        columns[name] = range(start, start + own.shape[1])
        start += own.shape[1]
    return clustered_means(np.column_stack(list(errors.values())), clusters), columns


def absolute_errors(target: npt.ArrayLike, prediction: npt.ArrayLike) -> Floats:
    """Absolute errors `[n, replicates]` of predictions `[n]` or `[replicates, n]`.

    Raises:
        ValueError: The lengths differ, or a value is not finite.
    """
    rows = np.atleast_2d(np.asarray(prediction, dtype=np.float64))
    pairs = [check_pair(target, row, ("target", "prediction")) for row in rows]
    return np.column_stack([np.abs(predicted - true) for true, predicted in pairs])


def _codes(table: Floats, clusters: npt.ArrayLike) -> tuple[Ints, int]:
    """Number of each row's cluster `[n]`, and how many there are; rows if all share one."""
    if table.ndim != 2 or len(table) < 2:
        raise ValueError(f"an interval needs at least 2 rows, got {len(table)}")
    names = np.asarray(clusters)
    if len(names) != len(table):
        raise ValueError(f"{len(table)} rows and {len(names)} clusters")
    if not np.isfinite(table).all():
        raise ValueError("values are not finite")
    codes, known = pd.factorize(names)
    if len(known) == 1:
        return np.arange(len(table)), 1
    return np.asarray(codes, dtype=np.int64), len(known)


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence {confidence} makes no sense")
