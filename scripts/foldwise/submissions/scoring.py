"""The score of a fold as Matbench computes it: MAE, or ROC-AUC of labels.

matbench 0.6 (`matbench.data_ops.score_array`) goes through the metrics accuracy, balanced accuracy,
F1 and ROC-AUC in this order and, at the first, replaces probabilities by labels (above 0.5) for
good. What it calls `rocauc` is therefore the ROC-AUC of *labels*: the mean of the true positive and
the true negative rate, which is its balanced accuracy. This is what is ranked, so this is what is
computed here; beside it stands the ROC-AUC of the probabilities themselves
(`probability_rocauc`).
"""

from __future__ import annotations

import numpy as np

from foldwise.statistics.metrics import Floats, share_in_order

THRESHOLD = 0.5
"""A probability above it is the label True (`matbench.constants.CLF_THRESH`)."""
CROSS_FOLD = (
    "The members that predicted the other folds were themselves trained on this fold's labels "
    "(cross-fold): each recorded model learned four folds, so what is fitted on its predictions "
    "has indirectly seen the labels of the fold that is tested."
)


def metric_name(classification: bool) -> str:
    """What Matbench ranks by: "mae" (lower is better) or "rocauc" (higher is better)."""
    return "rocauc" if classification else "mae"


def fold_score(target: Floats, prediction: Floats, classification: bool) -> float:
    """Score of one fold, `target` and `prediction` `[n]`; the mean of `row_scores`."""
    return float(row_scores(target, prediction, classification).mean())


def loss(target: Floats, prediction: Floats, classification: bool) -> float:
    """The score, turned so that lower is better."""
    score = fold_score(target, prediction, classification)
    return 1.0 - score if classification else score


def row_scores(target: Floats, prediction: Floats, classification: bool) -> Floats:
    """One number per row whose mean is the score `[n]`.

    For the MAE it is the absolute error. For the ROC-AUC of labels it is the row's influence on it
    (the score itself plus the row's deviation from its class' rate over twice the class' share), so
    that resampling the mean has, to first order, the spread that resampling the score has
    (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 22).
    """
    if not classification:
        return np.asarray(np.abs(prediction - target), dtype=np.float64)
    true, label = target > THRESHOLD, prediction > THRESHOLD
    values = np.zeros(len(target))
    rates = []
    for class_rows in (true, ~true):
        right = (label == true)[class_rows].astype(np.float64)
        rate = float(right.mean()) if right.size else 0.0
        rates.append(rate)
        values[class_rows] += (right - rate) / (2.0 * class_rows.mean())
    return values + float(np.mean(rates))


def probability_rocauc(target: Floats, probability: Floats) -> float:
    """ROC-AUC of probabilities `[n]`, or of anything else that ranks."""
    return share_in_order(target > THRESHOLD, probability)
