"""Intervals against brute force, and against what exchangeability promises."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.statistics.conformal import Conformal

SCORES = st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=30)


def brute_force(scores, answers, scale, level):
    """CV+ as Barber et al. define it: order statistics of all sums, written out."""
    n = sum(map(len, scores))
    rank = math.ceil((n + 1) * Fraction(str(level)))
    ends = []
    for column, factor in zip(np.transpose(answers), scale, strict=True):
        pairs = [(a, factor * r) for a, part in zip(column, scores, strict=True) for r in part]
        highs = sorted(a + r for a, r in pairs)
        lows = sorted((a - r for a, r in pairs), reverse=True)
        if rank <= n:  # and the prediction itself always lies inside
            mean = np.mean(column)
            ends.append((min(lows[rank - 1], mean), max(highs[rank - 1], mean)))
        else:
            ends.append((math.nan, math.nan))
    return np.array(ends).T


@given(
    scores=st.lists(SCORES, min_size=1, max_size=4),
    level=st.sampled_from([0.5, 0.8, 0.9]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_ends_are_the_order_statistics(scores, level, seed):
    generator = np.random.default_rng(seed)
    answers = generator.normal(0, 3, (len(scores), 5))
    scale = generator.uniform(0.1, 4, 5)
    low, high = Conformal.of(scores).interval(answers, scale, level)
    expected = brute_force(scores, answers, scale, level)
    np.testing.assert_allclose([low, high], expected, rtol=1e-9, atol=1e-9)


@given(scores=SCORES, level=st.floats(0.05, 0.95), ties=st.booleans())
@settings(max_examples=200, deadline=None)
def test_exchangeable_scores_are_covered_at_least_as_often_as_named(scores, level, ties):
    """Each of the n + 1 rows is the new one in turn, which is what exchangeable means."""
    values = [round(score) for score in scores] if ties else scores
    covered = 0
    for new in range(len(values)):
        others = [*values[:new], *values[new + 1 :]]
        if not others:
            return
        _, high = Conformal.of([others]).interval([[0.0]], [1.0], level)
        covered += bool(math.isnan(high[0]) or values[new] <= high[0])
    assert covered / len(values) >= level - 1e-9


@given(
    errors=st.lists(st.floats(-100, 100), min_size=3, max_size=24),
    level=st.sampled_from([0.6, 0.8, 0.9]),
    parts=st.integers(2, 4),
)
@settings(max_examples=100, deadline=None)
def test_parts_of_several_members_keep_the_guarantee_of_cv_plus(errors, level, parts):
    """Members that each predict the mean of the rows they did not hold out; rows in turn new.

    Barber et al. 2021, theorem 4: 1 - 2 alpha less (1 - parts / n) / (n / parts + 1).
    """
    size = len(errors) // parts
    rows = np.array(errors[: size * parts])
    n = len(rows)
    if n - size < size or size == 0:
        return
    covered = []
    for new in range(n):
        rest = np.delete(rows, new)
        held = np.array_split(np.arange(n - 1), parts)
        members = [np.delete(rest, part).mean() if len(part) < n - 1 else 0.0 for part in held]
        scores = [np.abs(rest[part] - m) for part, m in zip(held, members, strict=True)]
        if min(map(len, scores)) == 0:
            return
        low, high = Conformal.of(scores).interval(np.array(members)[:, None], [1.0], level)
        covered.append(math.isnan(low[0]) or low[0] - 1e-9 <= rows[new] <= high[0] + 1e-9)
    bound = 1 - 2 * (1 - level) - (1 - parts / n) / (n / parts + 1)
    assert np.mean(covered) >= bound - 1e-9


def test_coverage_of_fresh_rows_is_the_named_one():
    """Over many draws, against the binomial error of the draws."""
    generator = np.random.default_rng(5)
    hits = []
    for _ in range(2000):
        u = generator.uniform(0.2, 3, 40)
        error = np.abs(generator.normal(0, u))
        low, high = Conformal.of([error[:39] / u[:39]]).interval([[0.0]], u[39:], 0.9)
        hits.append(low[0] <= error[39] <= high[0])
    assert np.mean(hits) == pytest.approx(0.9, abs=3 * (0.09 / 2000) ** 0.5)  # 36 of 40 exactly


@given(scores=st.lists(SCORES, min_size=1, max_size=3), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_needed_rank_tells_the_coverage_of_every_level(scores, seed):
    generator = np.random.default_rng(seed)
    answers = generator.normal(0, 3, (len(scores), 20))
    scale, targets = generator.uniform(0.1, 4, 20), generator.normal(0, 20, 20)
    conformal = Conformal.of(scores)
    needed = conformal.needed_rank(answers, scale, targets)
    for level in (0.5, 0.7, 0.9):
        rank = conformal.rank(level)
        if rank is not None:
            low, high = conformal.interval(answers, scale, level)
            # Between an end and a prediction outside of it, levels are told without the prediction.
            middle = answers.mean(axis=0)
            inside = (low <= targets) & (targets <= high)
            inside &= ~(((low == middle) | (high == middle)) & (needed > rank))
            np.testing.assert_array_equal(needed <= rank, inside)


def test_too_few_scores_give_no_interval():
    conformal = Conformal.of([[1.0] * 8])
    low, high = conformal.interval([[2.0]], [1.0], 0.9)
    assert math.isnan(low[0])
    assert math.isnan(high[0])
    low, high = Conformal.of([[1.0] * 9]).interval([[2.0]], [1.0], 0.9)
    assert (low[0], high[0]) == (1.0, 3.0)


def test_members_that_disagree_get_a_wider_interval():
    scores = [np.linspace(0.1, 1, 20)] * 3
    near, far = np.array([[0.0], [0.01], [0.02]]), np.array([[-2.0], [0.0], [2.0]])
    width = [np.subtract(*Conformal.of(scores).interval(a, [1.0], 0.9))[0] for a in (near, far)]
    assert width[1] < width[0] - 2  # low minus high


@pytest.mark.parametrize(
    ("scores", "message"),
    [([], "no member"), ([[1.0, -0.5]], "negative"), ([[np.nan]], "not finite")],
)
def test_scores_that_are_none(scores, message):
    with pytest.raises(ValueError, match=message):
        Conformal.of(scores)


def test_answers_of_another_shape():
    conformal = Conformal.of([[1.0]])
    with pytest.raises(ValueError, match="2 rows"):
        conformal.interval([[1.0]], [1.0, 1.0], 0.9)
    with pytest.raises(ValueError, match="not positive"):
        conformal.interval([[1.0]], [0.0], 0.9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal.interval([[1.0]], [1.0], 1.0)
