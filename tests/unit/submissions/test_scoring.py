import numpy as np
import pytest
from matbench.constants import CLF_KEY, REG_KEY
from matbench.data_ops import score_array
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from foldwise.submissions.scoring import fold_score, loss, probability_rocauc, row_scores

GENERATOR = np.random.default_rng(4)
TRUE = GENERATOR.random(300) < 0.3
PROBABILITY = np.clip(0.4 * TRUE + GENERATOR.random(300) * 0.6, 0.0, 1.0).round(2)


def test_rocauc_is_what_matbench_computes_of_probabilities_and_of_labels():
    """matbench 0.6 turns probabilities into labels before its ROC-AUC."""
    own = fold_score(TRUE.astype(float), PROBABILITY, classification=True)
    theirs = score_array(TRUE.tolist(), PROBABILITY.tolist(), CLF_KEY)["rocauc"]
    assert own == pytest.approx(theirs, abs=1e-12)
    labels = PROBABILITY > 0.5
    assert own == pytest.approx(score_array(TRUE.tolist(), labels.tolist(), CLF_KEY)["rocauc"])
    assert own == pytest.approx(balanced_accuracy_score(TRUE, labels))
    assert loss(TRUE.astype(float), PROBABILITY, classification=True) == pytest.approx(1 - own)


def test_rocauc_of_probabilities_is_scikit_learns():
    own = probability_rocauc(TRUE.astype(float), PROBABILITY)
    assert own == pytest.approx(roc_auc_score(TRUE, PROBABILITY), abs=1e-12)
    assert own != pytest.approx(fold_score(TRUE.astype(float), PROBABILITY, classification=True))


def test_mae_is_matbenchs():
    true, predicted = GENERATOR.normal(size=(2, 50))
    theirs = score_array(true.tolist(), predicted.tolist(), REG_KEY)["mae"]
    assert fold_score(true, predicted, classification=False) == pytest.approx(theirs, abs=1e-12)


def test_row_scores_spread_as_resampled_scores_do():
    """Standard error from the influence values beside that of scores computed on resamples."""
    true = TRUE.astype(float)
    values = row_scores(true, PROBABILITY, classification=True)
    resampled = []
    for _ in range(2000):
        drawn = GENERATOR.integers(0, len(true), len(true))
        resampled.append(fold_score(true[drawn], PROBABILITY[drawn], classification=True))
    assert values.std() / len(true) ** 0.5 == pytest.approx(np.std(resampled), rel=0.08)
