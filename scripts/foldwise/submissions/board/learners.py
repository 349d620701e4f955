"""What is fitted on the members' predictions: weights, boosters, a logistic regression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.features import Matrix
from foldwise.submissions.board.rows import Bools
from foldwise.submissions.stacking import simplex_weights

RANDOM_STATE = 18012019
WEIGHT_ROWS = 20_000
"""Rows that the weights of a base or of the second level are fitted on at most."""


@dataclass(frozen=True)
class BoosterSettings:
    """Settings of LightGBM boosters whose answers are averaged.

    Attributes:
        trees: Trees of each.
        seeds: How many boosters, which differ in the rows and columns that a tree draws.
        options: LightGBM's own names.
        smooth: Whether a number is fitted by the Fair loss, the absolute error without its kink,
            whose scale is the median absolute target of the fitted rows. LightGBM need then not
            look for a median in every leaf.
    """

    trees: int
    seeds: int
    options: dict[str, float] = field(default_factory=dict)
    smooth: bool = False


def fit_booster(
    matrix: Matrix, target: Floats, fitted: Bools, asked: Bools, settings: BoosterSettings
) -> Floats:
    """Mean answer of boosters that minimise the (smooth) absolute error, for the rows `asked`.

    Args:
        matrix: Columns of all rows `[n, p]`.
        target: What is to be predicted `[n]`; rows that are not fitted are not read.
        fitted: Rows to fit `[n]`.
        asked: Rows to answer `[n]`.
        settings: Settings of the boosters.
    """
    objective: dict[str, Any] = {"objective": "l1"}
    scale = float(np.median(np.abs(target[fitted])))
    if settings.smooth and scale > 0:
        objective = {"objective": "fair", "fair_c": scale}
    return _mean_answer(objective, settings, _data(matrix, target, fitted, asked))


def fit_classifier(
    matrix: Matrix, target: Floats, fitted: Bools, asked: Bools, settings: BoosterSettings
) -> Floats:
    """As `fit_booster`: mean probability of boosters whose two classes weigh the same.

    Above one half is then where a label True raises the mean of the two classes' rates, which is
    what Matbench ranks by.
    """
    true = float(np.clip(target[fitted].mean(), 1e-6, 1 - 1e-6))
    objective = {"objective": "binary", "scale_pos_weight": (1.0 - true) / true}
    return _mean_answer(objective, settings, _data(matrix, target, fitted, asked))


def _data(
    matrix: Matrix, target: Floats, fitted: Bools, asked: Bools
) -> tuple[lightgbm.Dataset, Matrix]:
    """Rows to fit, and rows to answer, with the columns that teach something."""
    # A column that is NaN in every fitted row teaches nothing.
    columns = ~np.isnan(matrix[fitted]).all(axis=0)
    data = lightgbm.Dataset(matrix[np.ix_(fitted, columns)], target[fitted])
    return data, matrix[np.ix_(asked, columns)]


def _mean_answer(
    objective: dict[str, Any], settings: BoosterSettings, data: tuple[lightgbm.Dataset, Matrix]
) -> Floats:
    rows, questions = data
    answer = np.zeros(len(questions))
    for seed in range(settings.seeds):
        options = {
            **settings.options,
            **objective,
            "seed": RANDOM_STATE + seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        model = lightgbm.train(options, rows, settings.trees)
        answer += np.asarray(model.predict(questions, num_threads=1), dtype=np.float64)
    return answer / settings.seeds


def fit_weights(values: Floats, target: Floats, *, exact: bool = False) -> Floats:
    """Weights on the simplex with the smallest MAE `[m]`, from at most `WEIGHT_ROWS` rows.

    Args:
        values: Predictions `[n, m]`.
        target: True values `[n]`.
        exact: Whether all rows are used, however many.
    """
    if exact or len(target) <= WEIGHT_ROWS:
        return simplex_weights(values, target)
    drawn = np.random.default_rng(RANDOM_STATE).choice(len(target), WEIGHT_ROWS, replace=False)
    return simplex_weights(values[drawn], target[drawn])


def fit_logistic(values: Floats, target: Floats, asked: Floats) -> Floats:
    """Probabilities of a logistic regression on probabilities `[n, m]`, classes weighing alike."""
    scaler = StandardScaler().fit(values)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(scaler.transform(values), target > 0.5)
    return np.asarray(model.predict_proba(scaler.transform(asked))[:, 1], dtype=np.float64)
