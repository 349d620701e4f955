import numpy as np
import pytest
from scipy import stats

from foldwise.statistics import bootstrap
from foldwise.statistics.bootstrap import mae_difference_interval, mae_interval, mean_interval

NO_ERROR = {"confidence_level": 0.95, "method": "percentile", "n_resamples": 10_000}


def errors(n, seed=0):
    """Absolute errors with a heavy tail, as those of a real model."""
    return 0.03 * np.abs(np.random.default_rng(seed).standard_t(4, size=n))


@pytest.mark.parametrize("n", [2, 30, 492])
def test_interval_is_that_of_scipy(n):
    values = errors(n)
    interval = mean_interval(values)
    reference = stats.bootstrap((values,), np.mean, **NO_ERROR, rng=5).confidence_interval
    tolerance = 0.1 * values.std() / n**0.5
    assert interval.low == pytest.approx(reference.low, abs=tolerance)
    assert interval.high == pytest.approx(reference.high, abs=tolerance)
    assert interval.estimate == values.mean()
    assert interval.method == "resampling"


def test_paired_difference_is_that_of_scipy():
    generator = np.random.default_rng(3)
    target = generator.normal(size=300)
    shared = generator.normal(0, 0.05, 300)
    first, second = target + shared * 0.9, target + shared + generator.normal(0, 0.01, 300)
    interval = mae_difference_interval(target, first, second)

    def difference(a, b, true, axis=-1):
        return np.mean(np.abs(a - true) - np.abs(b - true), axis=axis)

    reference = stats.bootstrap(
        (first, second, target), difference, paired=True, **NO_ERROR, rng=5
    ).confidence_interval
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.03 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.03 * width)
    assert interval.excludes_zero


def test_expansion_of_large_samples_agrees_with_resampling():
    values = errors(20_000) ** 2
    interval = mean_interval(values)
    assert interval.method == "expansion"
    low, high = bootstrap._resampled_ends(values, 0.025, 4_000, seed=1)
    error = values.std() / len(values) ** 0.5
    # Four standard deviations of the Monte Carlo error of 4,000 resamples.
    assert interval.low == pytest.approx(low, abs=4 * 0.043 * error)
    assert interval.high == pytest.approx(high, abs=4 * 0.043 * error)


def test_large_samples_with_one_huge_error_are_resampled():
    values = errors(6_000)
    values[17] = 1e4
    assert mean_interval(values, resamples=200).method == "resampling"


def test_equal_values_have_an_interval_of_no_width():
    interval = mean_interval(np.full(9_000, 0.25))
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(8)
    hits = 0
    for _ in range(300):
        interval = mean_interval(generator.exponential(size=80), resamples=400)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.89 <= hits / 300 <= 0.98


def test_swapping_the_models_mirrors_the_interval():
    target, first, second = np.random.default_rng(4).normal(size=(3, 100))
    forth = mae_difference_interval(target, first, second, seed=2)
    back = mae_difference_interval(target, second, first, seed=2)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


def test_one_seed_one_result():
    target, prediction = np.random.default_rng(5).normal(size=(2, 50))
    assert mae_interval(target, prediction, seed=3) == mae_interval(target, prediction, seed=3)


def test_chunks_do_not_change_the_draws(monkeypatch):
    whole = mean_interval(errors(100), resamples=500)
    monkeypatch.setattr(bootstrap, "CHUNK_DRAWS", 1_000)
    assert mean_interval(errors(100), resamples=500) == whole


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0], {}, "at least 2 rows, got 1"),
        ([1.0, np.nan], {}, "not finite"),
        ([1.0, 2.0], {"confidence": 1.5}, "confidence 1.5"),
        ([1.0, 2.0], {"resamples": 0}, "resamples 0"),
    ],
)
def test_senseless_requests(values, options, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, **options)
