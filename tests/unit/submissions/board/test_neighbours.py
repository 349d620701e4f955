import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.submissions.board.features import neighbour_features


def by_hand(codes, fold, known, target, base):
    """The definition, row by row."""
    expected = []
    for row in range(len(codes)):
        others = [
            other
            for other in range(len(codes))
            if codes[other] == codes[row] and fold[other] in known and fold[other] != fold[row]
        ]
        means = [
            np.mean(column[others]) if others else np.nan for column in (target, target - base)
        ]
        expected.append([len(others), *means])
    return np.array(expected)


@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 2**31))
def test_they_are_the_means_over_other_known_folds(rows, kinds, seed):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, kinds, rows)
    fold = generator.integers(0, 5, rows)
    target, base = generator.normal(size=(2, rows))
    known = [0, 1, 3]
    found = neighbour_features(codes, fold, known, target, base)
    assert found == pytest.approx(by_hand(codes, fold, known, target, base), nan_ok=True, abs=1e-12)


def test_neither_the_own_fold_nor_an_unknown_one_is_read():
    codes, fold = np.zeros(6, dtype=int), np.array([0, 0, 1, 1, 2, 2])
    target = np.arange(6.0)
    before = neighbour_features(codes, fold, [0, 1], target, np.zeros(6))
    target[4:] = np.nan
    again = neighbour_features(codes, fold, [0, 1], target, np.zeros(6))
    assert np.array_equal(before, again)
    assert before[0, 1] == 2.5
    assert before[4, 1] == 1.5
