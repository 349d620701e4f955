"""Intervals and tests of mean absolute errors, against SciPy and against simulations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foldwise.experiment.comparison.paired import adjusted_p_value
from foldwise.statistics.intervals import (
    absolute_errors,
    clustered_means,
    mae_difference_interval,
    mae_interval,
    mean_interval,
)


def errors(n, seed=0):
    """Absolute errors with a heavy tail, as those of a real model."""
    return 0.03 * np.abs(np.random.default_rng(seed).standard_t(4, size=n))


def each(n):
    """A formula for every row."""
    return np.arange(n)


@given(values=st.lists(st.floats(-100, 100), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_unique_formulas_are_students_test(values):
    # A column of both signs next to a constant one: the difference is never on the log scale.
    rows = np.array(values)
    interval = clustered_means(np.column_stack([rows, np.zeros_like(rows)]), each(len(rows)))
    found = interval.interval([0], [1])
    assert found.estimate == pytest.approx(rows.mean(), abs=1e-9)
    if rows.std() > 1e-3:
        known = stats.ttest_1samp(rows, 0.0)
        assert (found.low, found.high) == pytest.approx(
            tuple(known.confidence_interval()), rel=1e-5, abs=1e-7
        )
        assert found.p_value == pytest.approx(known.pvalue, rel=1e-4, abs=1e-9)
    assert found.excludes_zero == (found.low > 0 or found.high < 0)


@given(
    values=st.lists(st.floats(0, 10), min_size=3, max_size=20, unique=True),
    copies=st.integers(2, 6),
)
@settings(max_examples=60, deadline=None)
def test_repeated_rows_of_a_formula_add_no_certainty(values, copies):
    once = mean_interval(values, each(len(values)))
    repeated = np.repeat(values, copies)
    clustered = mean_interval(repeated, np.repeat(each(len(values)), copies))
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high), rel=1e-6)


def unbalanced(formulas, seed=3):
    """Rows by formula, one formula far larger than the others, errors that formulas share."""
    generator = np.random.default_rng(seed)
    sizes = generator.geometric(0.6, formulas)
    sizes[5] = formulas // 20
    names = np.repeat(each(formulas), sizes)
    return errors(len(names)) + generator.exponential(0.05, formulas)[names], names, sizes


def test_formulas_of_unequal_size_have_the_width_of_scipys_bootstrap_of_a_ratio():
    values, names, sizes = unbalanced(2_000)
    sums = np.bincount(names, weights=values)

    def ratio(a, b, axis=-1):
        return a.sum(axis=axis) / b.sum(axis=axis)

    reference = stats.bootstrap(
        (sums, sizes), ratio, paired=True, n_resamples=4_000, method="percentile", rng=5
    ).confidence_interval
    interval = mean_interval(values, names)
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.06 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.06 * width)
    assert interval.estimate == pytest.approx(values.mean())
    assert (interval.method, interval.clusters) == ("formulas", 2_000)


def test_the_variance_over_formulas_is_the_delete_one_jackknife():
    values, names, _ = unbalanced(40)
    left = np.array([values[names != name].mean() for name in range(40)])
    variance = 39 / 40 * ((left - left.mean()) ** 2).sum()
    found = clustered_means(values[:, None], names)
    assert float((found.deviations.T @ found.deviations).item()) == pytest.approx(variance)


def test_an_interval_of_errors_never_reaches_below_zero():
    interval = mean_interval([0.0, 0.0, 0.0, 5.0], each(4))
    assert 0.0 < interval.low < interval.estimate < interval.high
    assert mean_interval([0.0, 0.0], each(2)).high == 0.0


def test_rows_count_one_by_one_if_all_are_of_one_formula():
    values = errors(30)
    interval, rows = mean_interval(values, ["C"] * 30), mean_interval(values, each(30))
    assert (interval.low, interval.high) == (rows.low, rows.high)
    assert (interval.method, interval.clusters) == ("rows", 1)


def test_seeds_alone_are_welchs_test():
    """Without any variance over formulas the test of replicates is Welch's."""
    generator = np.random.default_rng(4)
    first, second = generator.normal(0.10, 0.01, 3), generator.normal(0.12, 0.03, 5)
    table = np.tile(np.concatenate([first, second]), (50, 1))
    found = clustered_means(table, each(50)).interval(range(3), range(3, 8))
    known = stats.ttest_ind(first, second, equal_var=False)
    assert found.p_value == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(
        tuple(known.confidence_interval()), rel=1e-5, abs=1e-7
    )
    assert found.method == "formulas and seeds"


def test_three_lucky_seeds_are_no_certainty():
    """Three seeds that all beat three others happen one time in ten without any difference."""
    generator = np.random.default_rng(12)
    false = 0
    for _ in range(400):
        luck = generator.normal(0, 0.05, 6)
        crystal = generator.exponential(1.0, (300, 1))
        table = crystal * (1 + luck) + generator.normal(0, 0.02, (300, 6))
        false += clustered_means(table, each(300)).interval(range(3), range(3, 6)).excludes_zero
    assert false / 400 < 0.08


def test_predictions_of_replicates_are_judged_one_by_one():
    generator = np.random.default_rng(6)
    target = generator.normal(size=50)
    first, second = target + generator.normal(0, 0.1, (2, 3, 50))
    names = np.arange(50) // 2
    interval = mae_difference_interval(target, first, second, names)
    own = absolute_errors(target, first).mean(axis=0)
    others = absolute_errors(target, second).mean(axis=0)
    assert interval.estimate == pytest.approx(own.mean() - others.mean())
    # The error of a replicate, not that of the replicates' mean, which is smaller.
    assert own.mean() > np.abs(first.mean(axis=0) - target).mean()
    assert interval.replicates == (3, 3)
    assert interval.can_have_star
    assert not mae_difference_interval(target, first[:2], second, names).can_have_star
    back = mae_difference_interval(target, second, first, names)
    assert (interval.low, interval.high) == pytest.approx((-back.high, -back.low))
    assert mae_interval(target, first, names).replicates == (3,)


def test_the_family_of_a_study_corrects_every_p_value_alike():
    target, first, second = np.random.default_rng(1).normal(size=(3, 60))
    difference = mae_difference_interval(target, first, second, each(60))
    assert adjusted_p_value(difference, 3) == pytest.approx(min(1.0, 3 * difference.p_value))
    assert adjusted_p_value(difference, 0) == difference.p_value


def arms(generator, *means, replicates=3, rows=400):
    return np.column_stack(
        [
            mean
            + generator.normal(0, 0.02, (rows, 1))
            + generator.normal(0, 0.02, (rows, replicates))
            for mean in means
        ]
    )


def test_one_model_keeps_nothing_and_the_ensemble_everything():
    means = clustered_means(arms(np.random.default_rng(0), 0.2, 0.1), np.arange(400) // 2)
    first, second = range(3), range(3, 6)
    assert means.share(first, second, second).estimate == pytest.approx(1.0)
    nothing = means.share(first, second, first)
    assert nothing.estimate == 0.0
    assert nothing.low <= 0.0 <= nothing.high


def test_the_interval_of_a_share_is_fiellers():
    generator = np.random.default_rng(3)
    table = generator.normal((0.20, 0.10, 0.13), 0.03, (500, 3))
    share = clustered_means(table, each(500)).share([0], [1], [2])
    pair = np.column_stack([table[:, 0] - table[:, 2], table[:, 0] - table[:, 1]])
    (top, bottom), cover = pair.mean(axis=0), np.cov(pair.T) / 500
    t = stats.t.ppf(0.975, 499)
    polynomial = [
        bottom**2 - t**2 * cover[1, 1],
        -2 * (top * bottom - t**2 * cover[0, 1]),
        top**2 - t**2 * cover[0, 0],
    ]
    assert share.estimate == pytest.approx(top / bottom)
    assert (share.low, share.high) == pytest.approx(tuple(sorted(np.roots(polynomial))))


def test_seeds_widen_a_share():
    generator = np.random.default_rng(5)
    table = arms(generator, 0.2, 0.1, 0.12)
    table[:, 6:] += generator.normal(0, 0.02, 3)
    means = clustered_means(table, each(400))
    several = means.share(range(3), range(3, 6), range(6, 9))
    single = means.share([0], [3], [6])
    assert several.replicates == (3, 3, 3)
    assert several.high - several.low > 2 * (single.high - single.low)


def test_no_bounds_for_a_share_of_a_gain_that_may_be_nothing():
    means = clustered_means(arms(np.random.default_rng(1), 0.1, 0.1), np.arange(400) // 2)
    share = means.share(range(3), range(3, 6), range(3, 6))
    assert (share.low, share.high) == (None, None)


@pytest.mark.parametrize(
    ("values", "names", "options"),
    [
        ([1.0], [0], {}),
        ([1.0, np.nan], [0, 1], {}),
        ([1.0, 2.0], [0], {}),
        ([1.0, 2.0], [0, 1], {"confidence": 1.5}),
    ],
)
def test_senseless_requests(values, names, options):
    with pytest.raises(ValueError, match=r"rows|finite|clusters|confidence"):
        mean_interval(values, names, **options)
