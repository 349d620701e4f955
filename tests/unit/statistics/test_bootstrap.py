import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foldwise.statistics import bootstrap
from foldwise.statistics.bootstrap import (
    absolute_errors,
    mae_difference_interval,
    mae_interval,
    mean_interval,
    resample_means,
    two_sided_p_value,
)

OPTIONS = {"confidence_level": 0.95, "method": "percentile", "n_resamples": 10_000}


def errors(n, seed=0):
    """Absolute errors with a heavy tail, as those of a real model."""
    return 0.03 * np.abs(np.random.default_rng(seed).standard_t(4, size=n))


def alone(n):
    """A formula for every row."""
    return np.arange(n)


def row_bootstrap(values, resamples, seed):
    """The plain bootstrap of rows, drawn one by one."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(values), size=(resamples, len(values)), dtype=np.int32)
    return np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))


@pytest.mark.parametrize("n", [2, 30, 492])
def test_interval_is_that_of_scipy_where_formulas_are_unique(n):
    values = errors(n)
    interval = mean_interval(values, alone(n))
    reference = stats.bootstrap((values,), np.mean, **OPTIONS, rng=5).confidence_interval
    tolerance = 0.1 * values.std() / n**0.5
    assert interval.low == pytest.approx(reference.low, abs=tolerance)
    assert interval.high == pytest.approx(reference.high, abs=tolerance)
    assert interval.estimate == values.mean()
    assert (interval.method, interval.clusters) == ("formulas", n)


@given(
    values=st.lists(st.floats(-100, 100), min_size=2, max_size=40),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_unique_formulas_are_the_row_bootstrap(values, seed):
    rows = np.array(values)
    names = [f"formula {number}" for number in range(len(rows))]
    interval = mean_interval(rows, names, resamples=300, seed=seed)
    assert (interval.low, interval.high) == pytest.approx(
        tuple(row_bootstrap(rows, 300, seed)), abs=1e-9
    )


@given(
    values=st.lists(st.floats(0, 10), min_size=3, max_size=20, unique=True),
    copies=st.integers(2, 6),
)
@settings(max_examples=60, deadline=None)
def test_repeated_rows_of_a_formula_add_no_certainty(values, copies):
    once = mean_interval(values, alone(len(values)), resamples=300)
    repeated = np.repeat(values, copies)
    clustered = mean_interval(repeated, np.repeat(alone(len(values)), copies), resamples=300)
    as_rows = mean_interval(repeated, alone(len(repeated)), resamples=300)
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high), abs=1e-9)
    assert clustered.high - clustered.low > as_rows.high - as_rows.low


def test_balanced_formulas_are_scipys_bootstrap_of_their_means():
    generator = np.random.default_rng(2)
    values = errors(240) + np.repeat(generator.exponential(0.05, 60), 4)
    interval = mean_interval(values, np.repeat(alone(60), 4))
    means = values.reshape(60, 4).mean(axis=1)
    reference = stats.bootstrap((means,), np.mean, **OPTIONS, rng=5).confidence_interval
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.03 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.03 * width)
    assert width > 1.5 * np.subtract(*row_bootstrap(values, 2000, 0)[::-1])


def unbalanced(formulas, seed=3):
    """Rows by formula, one formula far larger than the others, errors that formulas share."""
    generator = np.random.default_rng(seed)
    sizes = generator.geometric(0.6, formulas)
    sizes[5] = formulas // 20
    names = np.repeat(alone(formulas), sizes)
    return errors(len(names)) + generator.exponential(0.05, formulas)[names], names, sizes


def test_formulas_of_unequal_size_are_scipys_bootstrap_of_a_ratio():
    values, names, sizes = unbalanced(200)
    sums = np.bincount(names, weights=values)

    def ratio(a, b, axis=-1):
        return a.sum(axis=axis) / b.sum(axis=axis)

    reference = stats.bootstrap(
        (sums, sizes), ratio, paired=True, **OPTIONS, rng=5
    ).confidence_interval
    interval = mean_interval(values, names)
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.03 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.03 * width)
    assert interval.estimate == pytest.approx(values.mean())


def test_paired_difference_is_that_of_scipy():
    generator = np.random.default_rng(3)
    target = generator.normal(size=300)
    shared = generator.normal(0, 0.05, 300)
    first, second = target + shared * 0.9, target + shared + generator.normal(0, 0.01, 300)
    interval = mae_difference_interval(target, first, second, alone(300))

    def difference(a, b, true, axis=-1):
        return np.mean(np.abs(a - true) - np.abs(b - true), axis=axis)

    reference = stats.bootstrap(
        (first, second, target), difference, paired=True, **OPTIONS, rng=5
    ).confidence_interval
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.03 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.03 * width)
    assert interval.excludes_zero
    assert not interval.covers_seeds


def test_expansion_of_many_formulas_agrees_with_resampling():
    values, names, _ = unbalanced(6_000)
    interval = mean_interval(values, names)
    assert interval.method == "expansion"
    drawn = resample_means(values[:, None], names, resamples=4_000, seed=1)
    reference = drawn.interval([0])
    error = float(drawn.means.std())
    # Four standard deviations of the Monte Carlo error of 4,000 resamples.
    assert interval.low == pytest.approx(reference.low, abs=4 * 0.043 * error)
    assert interval.high == pytest.approx(reference.high, abs=4 * 0.043 * error)


def test_many_formulas_with_one_huge_error_are_resampled():
    values = errors(6_000)
    values[17] = 1e4
    assert mean_interval(values, alone(6_000), resamples=200).method == "formulas"


def test_equal_values_have_an_interval_of_no_width():
    interval = mean_interval(np.full(9_000, 0.25), alone(9_000))
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_rows_are_drawn_where_all_are_of_one_formula():
    values = errors(30)
    interval = mean_interval(values, ["C"] * 30, resamples=500)
    assert (interval.low, interval.high) == pytest.approx(tuple(row_bootstrap(values, 500, 0)))
    assert (interval.method, interval.clusters) == ("rows", 1)


def test_formulas_cover_the_truth_about_as_often_as_they_say_and_rows_do_not():
    generator = np.random.default_rng(8)
    hits = {"formulas": 0, "rows": 0}
    names = np.repeat(alone(40), generator.integers(1, 8, 40))
    for _ in range(300):
        values = generator.exponential(size=40)[names] + generator.normal(0, 0.3, len(names))
        for kind, clusters in (("formulas", names), ("rows", alone(len(names)))):
            interval = mean_interval(values, clusters, resamples=400)
            hits[kind] += interval.low <= 1.0 <= interval.high
    assert 0.88 <= hits["formulas"] / 300 <= 0.98
    assert hits["rows"] / 300 < 0.75


def seeded_errors(generator, replicates, luck):
    """Absolute errors `[rows, replicates]` of 300 crystals; the luck of a seed moves them all."""
    crystal = generator.exponential(1.0, 300)[:, None]
    return crystal + generator.normal(0, luck, replicates) + generator.normal(0, 0.3, (300, 1))


def test_drawn_seeds_have_the_variance_of_a_mean_over_seeds():
    generator = np.random.default_rng(11)
    for replicates in (2, 3, 5):
        observed, drawn = [], []
        for seed in range(200):
            lucks = generator.normal(size=replicates)
            means = np.tile(lucks, (400, 1))
            sample = bootstrap.Resamples(lucks, means, 9, 9, seed)
            drawn.append(sample._drawn(range(replicates), generator).var())
            observed.append(lucks.var(ddof=1) / replicates)
        assert np.mean(drawn) == pytest.approx(np.mean(observed), rel=0.05)
        assert np.mean(observed) == pytest.approx(1 / replicates, rel=0.25)


def test_seeds_in_the_interval_keep_the_coverage_that_formulas_alone_lose():
    generator = np.random.default_rng(12)
    hits = {1: 0, 5: 0}
    for number in range(200):
        values = seeded_errors(generator, 10, 0.1)
        for replicates in hits:
            columns = np.column_stack([values[:, :replicates], values[:, 5 : 5 + replicates]])
            drawn = resample_means(columns, alone(300), resamples=400, seed=number)
            sides = range(replicates), range(replicates, 2 * replicates)
            interval = drawn.interval(*sides)
            hits[replicates] += not interval.excludes_zero
            assert interval.covers_seeds == (replicates > 1)
    assert hits[1] / 200 < 0.1
    assert 0.85 <= hits[5] / 200 <= 0.98


def test_predictions_of_replicates_are_judged_one_by_one():
    generator = np.random.default_rng(6)
    target = generator.normal(size=50)
    first, second = target + generator.normal(0, 0.1, (2, 3, 50))
    interval = mae_difference_interval(target, first, second, np.arange(50) // 2, resamples=300)
    each = absolute_errors(target, first).mean(axis=0)
    others = absolute_errors(target, second).mean(axis=0)
    assert interval.estimate == pytest.approx(each.mean() - others.mean())
    # The error of a replicate, not that of the replicates' mean, which is smaller.
    assert each.mean() > np.abs(first.mean(axis=0) - target).mean()
    assert (interval.method, interval.replicates) == ("formulas and seeds", (3, 3))
    alone_interval = mae_interval(target, first, np.arange(50) // 2, resamples=300)
    assert alone_interval.estimate == pytest.approx(each.mean())
    assert alone_interval.replicates == (3,)


def test_p_value_agrees_with_the_interval_and_with_students_test():
    generator = np.random.default_rng(9)
    for shift in (0.0, 0.1, 0.2):
        values = generator.normal(shift, 1.0, 400)
        interval = resample_means(values[:, None], alone(400)).interval([0])
        expected = stats.ttest_1samp(values, 0.0).pvalue
        assert interval.p_value == pytest.approx(expected, abs=0.02)
        assert interval.excludes_zero == (interval.p_value < 0.05)


def test_p_values_are_never_zero_nor_above_one():
    assert two_sided_p_value(np.full(999, 2.0)) == pytest.approx(0.002)
    assert two_sided_p_value(np.zeros(9)) == 1.0
    assert two_sided_p_value(np.array([-1.0, 1.0, 1.0])) == 1.0


def test_swapping_the_models_mirrors_the_interval():
    target, first, second = np.random.default_rng(4).normal(size=(3, 100))
    names = np.arange(100) // 3
    forth = mae_difference_interval(target, first, second, names, seed=2)
    back = mae_difference_interval(target, second, first, names, seed=2)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    assert forth.p_value == back.p_value


def test_one_seed_one_result():
    target, prediction = np.random.default_rng(5).normal(size=(2, 50))
    first, second = (mae_interval(target, prediction, alone(50), seed=3) for _ in range(2))
    assert first == second
    assert first != mae_interval(target, prediction, alone(50), seed=4)


def test_chunks_do_not_change_the_draws(monkeypatch):
    names = np.arange(100) // 2
    whole = mean_interval(errors(100), names, resamples=500)
    monkeypatch.setattr(bootstrap, "CHUNK_DRAWS", 1_000)
    assert mean_interval(errors(100), names, resamples=500) == whole


def test_many_resamples_of_many_formulas_take_little_memory():
    names = np.arange(60_000) // 2
    values = np.column_stack([errors(60_000), errors(60_000, 1)])
    tracemalloc.start()
    resample_means(values, names, resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All draws at once would take 200 x 30,000 x 8 bytes = 48 MB and their weights as much again.
    assert peak < 40e6


@pytest.mark.parametrize(
    ("values", "names", "options", "message"),
    [
        ([1.0], [0], {}, "at least 2 rows, got 1"),
        ([1.0, np.nan], [0, 1], {}, "not finite"),
        ([1.0, 2.0], [0], {}, "2 rows and 1 clusters"),
        ([1.0, 2.0], [0, 1], {"confidence": 1.5}, "confidence 1.5"),
        ([1.0, 2.0], [0, 1], {"resamples": 0}, "resamples 0"),
    ],
)
def test_senseless_requests(values, names, options, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, names, **options)
