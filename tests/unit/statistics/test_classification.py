"""Metrics of classes against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from foldwise.statistics.classification import (
    BINS,
    brier_score,
    calibration_error,
    calibration_table,
    class_metrics,
    roc_auc,
)


@st.composite
def answers(draw):
    n = draw(st.integers(2, 60))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    target = generator.integers(0, 2, n).astype(float)
    target[:2] = 0, 1
    # Few different values: ties, and probabilities on the edges of bins.
    return target, np.round(generator.random(n), draw(st.integers(1, 6)))


@settings(deadline=None)
@given(answers())
def test_ranking_and_score_are_scikit_learns(pair):
    assert roc_auc(*pair) == pytest.approx(roc_auc_score(*pair))
    assert brier_score(*pair) == pytest.approx(brier_score_loss(*pair))


@settings(deadline=None)
@given(answers())
def test_calibration_is_scikit_learns(pair):
    table = calibration_table(*pair)
    shares, means = calibration_curve(*pair, n_bins=BINS)
    assert [row["share_of_ones"] for row in table] == pytest.approx(shares)
    assert [row["mean_probability"] for row in table] == pytest.approx(means)
    assert sum(row["n"] for row in table) == len(pair[0])
    weights = [row["n"] / len(pair[0]) for row in table]
    assert calibration_error(*pair) == pytest.approx(np.dot(weights, np.abs(shares - means)))


def test_over_folds():
    first = (0, np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1]))
    alone = (1, np.array([1.0, 1.0]), np.array([0.5, 0.7]))
    block = class_metrics([first, alone])
    assert block["roc_auc_mean"] == roc_auc_score(*first[1:])
    assert block["roc_auc_std"] == 0
    assert [fold["roc_auc"] for fold in block["folds"]] == [block["roc_auc_mean"], None]
    whole = [np.concatenate([first[k], alone[k]]) for k in (1, 2)]
    assert block["brier"] == pytest.approx(brier_score_loss(*whole))


@pytest.mark.parametrize(
    ("target", "probability", "words"),
    [([0.5, 1.0], [0.1, 0.2], "0.5, not 0 or 1"), ([0.0, 1.0], [0.1, 1.2], "goes from 0.1 to 1.2")],
)
def test_what_are_no_classes(target, probability, words):
    with pytest.raises(ValueError, match=words):
        roc_auc(target, probability)
