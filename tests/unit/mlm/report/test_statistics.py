"""Intervals over texts: against theory, against the plain bootstrap, at the edges."""

import numpy as np
import pytest
from scipy import stats

from foldwise.mlm.report.scores import composite, score_parts
from foldwise.mlm.report.statistics import difference_interval, rate_interval, sum_interval


def test_single_samples_give_the_interval_of_a_mean():
    hits = np.random.default_rng(0).random(400) < 0.3
    own = rate_interval(hits, [str(at) for at in range(400)], resamples=4000)
    plain = stats.bootstrap((hits,), np.mean, method="percentile", rng=1).confidence_interval
    assert own.estimate == hits.mean()
    assert (own.low, own.high) == pytest.approx(tuple(plain), abs=0.006)


def test_alike_samples_of_a_text_count_as_one():
    texts = np.random.default_rng(1).random(200) < 0.3
    hits = np.repeat(texts, 4)
    clusters = [str(at) for at in range(200) for _ in range(4)]
    own = rate_interval(hits, clusters, resamples=4000)
    single = rate_interval(texts, [str(at) for at in range(200)], resamples=4000)
    assert own.high - own.low == pytest.approx(single.high - single.low, rel=0.08)
    expected = 2 * 1.96 * (own.estimate * (1 - own.estimate) / 200) ** 0.5
    assert own.high - own.low == pytest.approx(expected, rel=0.08)


def test_the_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(2)
    clusters = [str(at // 3) for at in range(300)]
    covered = 0
    for seed in range(200):
        texts = generator.beta(2, 4, 100)
        hits = generator.random(300) < np.repeat(texts, 3)
        interval = rate_interval(hits, clusters, resamples=400, seed=seed)
        covered += interval.low <= 1 / 3 <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_no_hit_at_all_is_not_certainty():
    clusters = [str(at // 2) for at in range(100)]
    none = rate_interval(np.zeros(100), clusters, resamples=100)
    assert (none.estimate, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 50))
    every = rate_interval(np.ones(100), clusters, resamples=100)
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 50)), 1.0)


def test_paired_differences_cancel_what_both_find_hard():
    generator = np.random.default_rng(3)
    first = generator.random(600) < 0.5
    second = first.copy()
    second[:30] = True
    clusters = [str(at) for at in range(600)]
    paired = difference_interval(second, first, clusters, resamples=2000)
    alone = rate_interval(first, clusters, resamples=2000)
    assert paired.excludes_zero
    assert paired.high - paired.low < (alone.high - alone.low) / 2
    assert paired.estimate == pytest.approx(second.mean() - first.mean())
    same = difference_interval(first, first, clusters, resamples=100)
    assert same.low == -same.high < 0
    assert not same.excludes_zero


def test_repeatable_and_checked():
    hits, clusters = [1, 0, 1, 1], ["a", "a", "b", "c"]
    assert rate_interval(hits, clusters, resamples=50) == rate_interval(
        hits, clusters, resamples=50
    )
    for wrong in (([], []), ([1], ["a", "b"])):
        with pytest.raises(ValueError, match="values and"):
            rate_interval(*wrong, resamples=10)


def drawn_scores(generator, texts, passages):
    """Hits of a model on clustered samples and on passages, and the score it has in truth."""
    chance = np.repeat(generator.beta(2, 2, texts), 3)
    five = generator.random(3 * texts) < chance
    first = five & (generator.random(3 * texts) < 0.5)
    return first, five, generator.random(passages) < 0.3


def test_the_interval_of_the_score_covers_as_often_as_it_says():
    generator = np.random.default_rng(4)
    clusters, rows = [str(at // 3) for at in range(300)], [str(at) for at in range(200)]
    truth, covered = composite(0.25, 0.5, 0.3), 0
    for seed in range(200):
        first, five, last = drawn_scores(generator, 100, 200)
        parts = score_parts((first, five, clusters), (last, rows), least=0.0)
        interval = sum_interval(parts, resamples=400, seed=seed)
        assert interval.estimate == pytest.approx(composite(first.mean(), five.mean(), last.mean()))
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_paired_test_of_the_score_errs_as_often_as_it_says():
    generator = np.random.default_rng(5)
    clusters, rows = [str(at // 3) for at in range(300)], [str(at) for at in range(200)]
    found = 0
    for seed in range(200):
        before, after = (drawn_scores(generator, 100, 200) for _ in range(2))
        first, five, last = (b * 1.0 - a * 1.0 for a, b in zip(before, after, strict=True))
        parts = score_parts((first, five, clusters), (last, rows), least=-1.0)
        found += sum_interval(parts, resamples=400, seed=seed).excludes_zero
    assert found / 200 <= 0.10


def test_a_score_without_any_hit_is_not_certain():
    nothing = np.zeros(60)
    names = [str(at) for at in range(60)]
    parts = score_parts((nothing, nothing, names), (nothing, names), least=0.0)
    interval = sum_interval(parts, resamples=100)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(1 - 0.025 ** (1 / 60))
    parts = score_parts((nothing, nothing, names), (nothing, names), least=-1.0)
    assert not sum_interval(parts, resamples=100).excludes_zero
