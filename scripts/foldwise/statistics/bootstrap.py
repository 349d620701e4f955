"""Bootstrap intervals of a mean absolute error, and of the difference of two on the same rows.

What is drawn is what the claim is about. Polymorphs share a formula, and with it much of what makes
a row hard, so all rows of a formula are drawn together (cluster bootstrap; Davison and Hinkley,
*Bootstrap Methods and their Application*, 1997, section 3.8; Cameron, Gelbach and Miller 2008). A
resample has as many formulas as the data and a varying number of rows: its mean is the ratio of two
drawn sums.

Where an experiment was trained several times over (its replicates differ in training seeds alone),
replicates are drawn as well, independently of the formulas and for each side of a comparison by
itself: rows and columns of the table of errors are both resampled (the pigeonhole bootstrap; Owen,
*Annals of Applied Statistics* 1, 386, 2007). Of `R` replicates `R - 1` are drawn, so that the
variance of their mean is estimated without bias (Rao and Wu, *JASA* 83, 231, 1988); drawing all
`R` would halve it for two replicates.

Ends are percentiles (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13);
the two-sided p-value of "no difference" inverts that interval (Davison and Hinkley, section 5.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.statistics.expansion import expanded_ends
from foldwise.statistics.metrics import Floats, Ints, check_column, check_pair

MAX_RESAMPLED_CLUSTERS = 5_000
CHUNK_DRAWS = 1_000_000
ROWS, FORMULAS, EXPANSION = "rows", "formulas", "expansion"
"""How an interval was made: what was drawn, or that the distribution was expanded."""


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval of a mean.

    Attributes:
        estimate: The mean of the observed values.
        low: Lower end.
        high: Upper end.
        confidence: Nominal coverage, e.g. 0.95.
        resamples: Number of resamples asked for.
        rows: Number of rows.
        method: "formulas", or "rows" where all are of one formula, with " and seeds" where
            replicates were drawn too; or "expansion".
        clusters: Number of formulas; `None` where rows are not clustered.
        replicates: Replicates of the judged side, then of the other one where there is one.
        p_value: Two-sided, of the hypothesis that the true value is zero.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    resamples: int
    rows: int
    method: str
    clusters: int | None = None
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


@dataclass(frozen=True)
class Resamples:
    """Means of several columns of values in the same bootstrap samples.

    Attributes:
        observed: Mean of each column over all rows `[columns]`.
        means: The same in each resample `[resamples, columns]`.
        rows: Number of rows.
        clusters: Number of clusters; 1 where the rows were drawn for want of a second one.
        seed: Seed of the draws.
    """

    observed: Floats
    means: Floats
    rows: int
    clusters: int
    seed: int

    def interval(
        self, own: Sequence[int], other: Sequence[int] = (), *, confidence: float = 0.95
    ) -> Interval:
        """Interval of the mean over columns `own`, less that over columns `other`.

        Args:
            own: Columns of the replicates of one experiment.
            other: Those of the experiment that it is compared with; none for a mean by itself.
            confidence: Nominal coverage, between 0 and 1.
        """
        generator = np.random.default_rng([self.seed, 1])
        drawn = self._drawn(own, generator)
        estimate = float(self.observed[list(own)].mean())
        if other:
            drawn = drawn - self._drawn(other, generator)
            estimate -= float(self.observed[list(other)].mean())
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(drawn, (tail, 1.0 - tail))
        replicates = (len(own), len(other)) if other else (len(own),)
        plain = ROWS if self.clusters == 1 else FORMULAS
        return Interval(
            estimate,
            float(low),
            float(high),
            confidence,
            len(drawn),
            self.rows,
            plain if max(replicates) == 1 else f"{plain} and seeds",
            self.clusters,
            replicates,
            two_sided_p_value(drawn),
        )

    def drawn(self, columns: Sequence[int], stream: int) -> Floats:
        """Mean over drawn replicates in each resample `[resamples]`.

        Args:
            columns: Columns of the replicates of one experiment.
            stream: Number of the draws of replicates; experiments need one each.
        """
        return self._drawn(columns, np.random.default_rng([self.seed, 1, stream]))

    def _drawn(self, columns: Sequence[int], generator: np.random.Generator) -> Floats:
        """Mean over drawn replicates in each resample `[resamples]`."""
        means: Floats = self.means[:, list(columns)]
        count = means.shape[1]
        if count == 1:
            return means[:, 0]
        picked = generator.integers(0, count, size=(len(means), count - 1))
        drawn: Floats = np.take_along_axis(means, picked, axis=1).mean(axis=1)
        return drawn


def resample_means(
    values: npt.ArrayLike, clusters: npt.ArrayLike, *, resamples: int = 10_000, seed: int = 0
) -> Resamples:
    """Means of the columns of `values` `[n, columns]` in resamples of whole clusters.

    Time and memory do not depend on the rows, only on the clusters: 95,118 of them take seconds.

    Args:
        values: One number per row and column.
        clusters: The cluster of each row `[n]`, for crystals the reduced formula.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ValueError: Fewer than two rows, values that are not finite, or senseless settings.
    """
    table = np.asarray(values, dtype=np.float64)
    codes = _codes(table, clusters, resamples)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in table.T])
    sizes = np.bincount(codes).astype(np.float64)
    both = np.column_stack([sums, sizes])
    means = np.empty((resamples, table.shape[1]))
    start = 0
    for weights in cluster_weights(len(sizes), resamples, seed):
        drawn = weights @ both
        means[start : start + len(drawn)] = drawn[:, :-1] / drawn[:, -1:]
        start += len(drawn)
    return Resamples(table.mean(axis=0), means, len(table), _known(clusters), seed)


def cluster_weights(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn in each resample, a chunk `[some, clusters]` at a time.

    For statistics other than a mean: give every row the weight of its cluster.

    Args:
        clusters: Number of clusters; as many are drawn, with replacement.
        resamples: Number of resamples.
        seed: Seed of the draws, which do not depend on the chunks.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_DRAWS // clusters)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = generator.integers(0, clusters, size=(count, clusters), dtype=np.int32)
        yield np.stack([np.bincount(row, minlength=clusters) for row in drawn]).astype(np.float64)


def mean_interval(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of the mean of `values` `[n]`, whole clusters drawn.

    Above `MAX_RESAMPLED_CLUSTERS` clusters the quantiles come from an expansion where it is exact
    enough (`foldwise.statistics.expansion`): a page has some dozens of such intervals.

    Args:
        values: One number per row.
        clusters: The cluster of each row `[n]`, for crystals the reduced formula.
        confidence: Nominal coverage, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ValueError: Fewer than two values, values that are not finite, or senseless settings.
    """
    rows = check_column(values, "values")
    _check_confidence(confidence)
    codes = _codes(rows[:, None], clusters, resamples)
    sums, sizes = np.bincount(codes, weights=rows), np.bincount(codes)
    if len(sums) > MAX_RESAMPLED_CLUSTERS:
        tail = (1.0 - confidence) / 2.0
        ends = expanded_ends(np.asarray(sums, dtype=np.float64), sizes.astype(np.float64), tail)
        if ends is not None:
            estimate, known = float(rows.mean()), _known(clusters)
            return Interval(estimate, *ends, confidence, resamples, len(rows), EXPANSION, known)
    drawn = resample_means(rows[:, None], clusters, resamples=resamples, seed=seed)
    return drawn.interval([0], confidence=confidence)


def mae_interval(
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Interval of the MAE on `target` `[n]`.

    Args:
        target: True values.
        prediction: Predictions `[n]`, or `[replicates, n]`: then of the mean of their MAE, and
            replicates are drawn as well.
        clusters: Reduced formula of each row `[n]`.
        confidence: Nominal coverage, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ValueError: As `resample_means`.
    """
    errors = absolute_errors(target, prediction)
    _check_confidence(confidence)
    drawn = resample_means(errors, clusters, resamples=resamples, seed=seed)
    return drawn.interval(range(errors.shape[1]), confidence=confidence)


def mae_difference_interval(
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Paired interval of MAE(prediction) minus MAE(reference) on the same rows `[n]`.

    A negative estimate means that `prediction` has the smaller error. A drawn formula brings the
    errors of both sides, so what makes a row hard for both models cancels.

    Args:
        target: True values `[n]`.
        prediction: Predictions `[n]`, or `[replicates, n]`.
        reference: Those of the other side, likewise.
        clusters: Reduced formula of each row `[n]`.
        confidence: Nominal coverage, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ValueError: As `resample_means`.
    """
    own, other = absolute_errors(target, prediction), absolute_errors(target, reference)
    _check_confidence(confidence)
    both = np.column_stack([own, other])
    drawn = resample_means(both, clusters, resamples=resamples, seed=seed)
    return drawn.interval(
        range(own.shape[1]), range(own.shape[1], both.shape[1]), confidence=confidence
    )


def absolute_errors(target: npt.ArrayLike, prediction: npt.ArrayLike) -> Floats:
    """Absolute errors `[n, replicates]` of predictions `[n]` or `[replicates, n]`.

    Raises:
        ValueError: The lengths differ, or a value is not finite.
    """
    rows = np.atleast_2d(np.asarray(prediction, dtype=np.float64))
    pairs = [check_pair(target, row, ("target", "prediction")) for row in rows]
    return np.column_stack([np.abs(predicted - true) for true, predicted in pairs])


def two_sided_p_value(drawn: Floats) -> float:
    """Twice the share of resamples `[resamples]` on the rarer side of zero, at most 1.

    One is added to both counts, so that no number of resamples gives a p-value of zero (Davison and
    Hinkley 1997, section 4.2).
    """
    rarer = min(int((drawn <= 0.0).sum()), int((drawn >= 0.0).sum()))
    return min(1.0, 2.0 * (rarer + 1) / (drawn.size + 1))


def _codes(table: Floats, clusters: npt.ArrayLike, resamples: int) -> Ints:
    """Number of each row's cluster `[n]`, by first appearance; rows where all share one."""
    if table.ndim != 2 or len(table) < 2:
        raise ValueError(f"an interval needs at least 2 rows, got {len(table)}")
    names = np.asarray(clusters)
    if len(names) != len(table):
        raise ValueError(f"{len(table)} rows and {len(names)} clusters")
    if not np.isfinite(table).all():
        raise ValueError("values are not finite")
    if resamples < 1:
        raise ValueError(f"resamples {resamples} makes no sense")
    codes, known = pd.factorize(names)
    return np.arange(len(table)) if len(known) == 1 else np.asarray(codes, dtype=np.int64)


def _known(clusters: npt.ArrayLike) -> int:
    return int(pd.Series(np.asarray(clusters)).nunique())


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence {confidence} makes no sense")
