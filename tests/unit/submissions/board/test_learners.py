"""Boosters of the leaderboard's rules."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from foldwise.submissions.board.learners import BoosterSettings, fit_booster

ROWS = 4000
SETTINGS = BoosterSettings(
    80, 1, {"learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.8}
)


@pytest.fixture(scope="module")
def problem():
    """Columns, a target of heavy tails that two of them explain, rows to fit and to ask."""
    drawn = np.random.default_rng(0)
    matrix = drawn.normal(size=(ROWS, 6)).astype(np.float32)
    target = np.sin(2 * matrix[:, 0]) + 0.5 * matrix[:, 1] + 0.1 * drawn.standard_t(1.5, size=ROWS)
    fitted = np.arange(ROWS) % 4 != 0
    return matrix, target, fitted


def error(problem, settings, scale=1.0):
    matrix, target, fitted = problem
    found = fit_booster(matrix, scale * target, fitted, ~fitted, settings)
    return np.abs(found / scale - target[~fitted]).mean()


def test_the_smooth_loss_is_as_good_as_the_absolute_error(problem):
    matrix, target, fitted = problem
    oracle = HistGradientBoostingRegressor(loss="absolute_error", max_iter=80, random_state=0)
    oracle.fit(matrix[fitted], target[fitted])
    expected = np.abs(oracle.predict(matrix[~fitted]) - target[~fitted]).mean()
    smooth = replace(SETTINGS, smooth=True)
    assert error(problem, SETTINGS) < 1.05 * expected
    assert error(problem, smooth) < 1.05 * expected
    assert error(problem, smooth) != error(problem, SETTINGS)


def test_the_smooth_loss_follows_the_unit_of_the_target(problem):
    smooth = replace(SETTINGS, smooth=True)
    assert error(problem, smooth, scale=1024.0) == pytest.approx(error(problem, smooth), rel=0.01)


def test_a_target_that_is_mostly_zero_is_fitted_by_its_absolute_error(problem):
    matrix, target, fitted = problem
    rare = np.where(np.arange(ROWS) % 8 == 1, target, 0.0)
    smooth = replace(SETTINGS, smooth=True)
    answers = [fit_booster(matrix, rare, fitted, ~fitted, each) for each in (smooth, SETTINGS)]
    assert np.array_equal(*answers)


def test_a_label_that_is_not_fitted_is_not_read(problem):
    matrix, target, fitted = problem
    poisoned = np.where(fitted, target, 1e6)
    smooth = replace(SETTINGS, smooth=True)
    answers = [fit_booster(matrix, each, fitted, ~fitted, smooth) for each in (target, poisoned)]
    assert np.array_equal(*answers)
