"""The share of an ensemble's gain that a model keeps."""

import numpy as np
import pytest

from foldwise.statistics.bootstrap import resample_means
from maintenance.page_tables.kept_share import kept_share


def errors(generator, mean, replicates, rows=400):
    return (
        mean + generator.normal(0, 0.02, (rows, 1)) + generator.normal(0, 0.02, (rows, replicates))
    )


def drawn_of(seed, *means, replicates=3):
    generator = np.random.default_rng(seed)
    table = np.column_stack([errors(generator, mean, replicates) for mean in means])
    return resample_means(table, np.arange(len(table)) // 2, resamples=2_000)


def test_one_keeps_nothing_and_the_ensemble_everything():
    drawn = drawn_of(0, 0.2, 0.1)
    first, second = range(3), range(3, 6)
    assert kept_share(drawn, first, second, second).estimate == pytest.approx(1.0)
    nothing = kept_share(drawn, first, second, first)
    assert nothing.estimate == 0.0
    assert nothing.low <= 0.0 <= nothing.high


def test_interval_is_that_of_fieller():
    """Fieller's interval of a ratio of two correlated means, one number per cluster."""
    generator = np.random.default_rng(3)
    table = generator.normal((0.20, 0.10, 0.13), 0.03, (500, 3))
    drawn = resample_means(table, np.arange(500), resamples=20_000)
    share = kept_share(drawn, [0], [1], [2])
    pair = np.column_stack([table[:, 0] - table[:, 2], table[:, 0] - table[:, 1]])
    (top, bottom), cover = pair.mean(axis=0), np.cov(pair.T) / 500
    z = 1.96
    polynomial = [
        bottom**2 - z**2 * cover[1, 1],
        -2 * (top * bottom - z**2 * cover[0, 1]),
        top**2 - z**2 * cover[0, 0],
    ]
    low, high = sorted(np.roots(polynomial))
    assert share.estimate == pytest.approx(top / bottom)
    assert (share.low, share.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_seeds_widen_it():
    generator = np.random.default_rng(5)
    luck = generator.normal(0, 0.02, 3)
    table = np.column_stack([errors(generator, mean, 3) for mean in (0.2, 0.1, 0.12)])
    table[:, 6:] += luck
    drawn = resample_means(table, np.arange(400), resamples=2_000)
    several = kept_share(drawn, range(3), range(3, 6), range(6, 9))
    single = kept_share(drawn, [0], [3], [6])
    assert several.replicates == (3, 3, 3)
    assert several.high - several.low > 2 * (single.high - single.low)


def test_no_share_of_a_gain_that_may_be_nothing():
    drawn = drawn_of(1, 0.1, 0.1)
    share = kept_share(drawn, range(3), range(3, 6), range(3, 6))
    assert (share.low, share.high) == (None, None)
