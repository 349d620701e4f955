"""Intervals of rates whose samples come in texts: bootstrap over texts, not over samples.

Samples of one text share its words and its topic, so they are drawn together (cluster bootstrap;
Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.statistics.intervals import Interval

CHUNK_DRAWS = 2_000_000
CONFIDENCE = 0.95


def rate_interval(
    hits: npt.ArrayLike, clusters: Sequence[str], *, resamples: int, seed: int = 0
) -> Interval:
    """Percentile interval of the mean of `hits` `[n]`, resampling whole clusters.

    Where all values are 0, or all are 1, every resample is alike and the bootstrap claims a width
    of zero. The exact binomial limit with the clusters as trials takes its place (Clopper and
    Pearson 1934): for no hit in `m` texts the upper end is `1 - 0.025 ** (1 / m)`.

    Args:
        hits: 0 or 1 per sample, or a difference of two such columns.
        clusters: The text of each sample.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ValueError: There is no sample, or the lengths differ.
    """
    values = np.asarray(hits, dtype=np.float64)
    if values.size == 0 or values.size != len(clusters):
        raise ValueError(f"{values.size} values and {len(clusters)} clusters")
    codes = pd.factorize(np.asarray(clusters))[0]
    sums = np.bincount(codes, weights=values).astype(np.float64)
    sizes = np.bincount(codes).astype(np.float64)
    estimate = float(values.mean())
    tail = (1.0 - CONFIDENCE) / 2.0
    method = "cluster resampling"
    if np.ptp(values) == 0.0 and estimate in (0.0, 1.0):
        reach = 1.0 - tail ** (1.0 / sizes.size)
        low, high = (0.0, reach) if estimate == 0.0 else (1.0 - reach, 1.0)
        method = "exact binomial over clusters"
    else:
        ends = np.quantile(_resampled(sums, sizes, resamples, seed), (tail, 1.0 - tail))
        low, high = float(ends[0]), float(ends[1])
    return Interval(estimate, low, high, CONFIDENCE, values.size, method=method)


def difference_interval(
    hits: npt.ArrayLike,
    others: npt.ArrayLike,
    clusters: Sequence[str],
    *,
    resamples: int,
    seed: int = 0,
) -> Interval:
    """Paired interval of mean(hits) minus mean(others) on the same samples, clustered by text."""
    difference = np.asarray(hits, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    interval = rate_interval(difference, clusters, resamples=resamples, seed=seed)
    if difference.any():
        return interval
    # Nothing differs: the binomial limit holds towards both sides.
    return replace(interval, low=-interval.high)


@dataclass(frozen=True)
class Part:
    """One summand of a score: a value per sample, and the ends that such a value can have."""

    values: npt.ArrayLike
    clusters: Sequence[str]
    ends: tuple[float, float]


def sum_interval(parts: Sequence[Part], *, resamples: int, seed: int = 0) -> Interval:
    """Percentile interval of a sum of means over independent sets, each resampled by its clusters.

    A part whose values are all alike adds the binomial limit towards each end that they can have,
    as in `rate_interval`.

    Args:
        parts: The summands.
        resamples: Number of resamples.
        seed: Seed of the resamples.
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    drawn, estimate, below, above, count = np.zeros(resamples), 0.0, 0.0, 0.0, 0
    for number, part in enumerate(parts):
        values = np.asarray(part.values, dtype=np.float64)
        codes = pd.factorize(np.asarray(part.clusters))[0]
        sums = np.bincount(codes, weights=values).astype(np.float64)
        sizes = np.bincount(codes).astype(np.float64)
        mean = float(values.mean())
        if np.ptp(values) == 0.0:
            reach = 1.0 - tail ** (1.0 / sizes.size)
            below += reach * (mean - part.ends[0])
            above += reach * (part.ends[1] - mean)
            drawn += mean
        else:
            drawn += _resampled(sums, sizes, resamples, seed + number)
        estimate, count = estimate + mean, count + values.size
    low, high = np.quantile(drawn, (tail, 1.0 - tail))
    return Interval(
        estimate, float(low) - below, float(high) + above, CONFIDENCE, count,
        method="cluster resampling of each part",
    )  # fmt: skip


def _resampled(
    sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], resamples: int, seed: int
) -> npt.NDArray[np.float64]:
    """The rate of each resample: a chunk at a time, so that memory stays at some MB."""
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_DRAWS // sums.size)
    rates = np.empty(resamples)
    for start in range(0, resamples, chunk):
        shape = (min(chunk, resamples - start), sums.size)
        drawn = generator.integers(0, sums.size, size=shape, dtype=np.int32)
        rates[start : start + chunk] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return rates
