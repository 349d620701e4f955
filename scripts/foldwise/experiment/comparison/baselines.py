"""Two models that need no crystal structure: what any trained model must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from foldwise.crystals.names import fraction_table
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.network.transform import linear_reference
from foldwise.statistics.metrics import Floats

RIDGE = 1e-6


def baseline_maes(inputs: ExperimentInputs, rows: TestRows) -> dict[str, float]:
    """Mean over folds of the MAE of two simple models, fitted on each fold's training rows.

    Returns:
        `train_mean_mae`: every crystal gets the mean of the training targets.
        `element_reference_mae`: the target is linear in the atomic fractions (least squares with a
        ridge of 1e-6), the "element reference" of formation energies.
    """
    fractions = fraction_table(inputs.targets["formula"])
    targets = inputs.targets["target"]
    means: list[float] = []
    linear: list[float] = []
    for fold, split in inputs.splits.items():
        test = rows.fold(fold)
        target = test["target"].to_numpy()
        train = targets.loc[split.train].to_numpy(dtype=np.float64)
        means.append(float(np.abs(train.mean() - target).mean()))
        prediction = element_reference(fractions, targets, split.train, list(test["id"]))
        linear.append(float(np.abs(prediction - target).mean()))
    return {
        "train_mean_mae": float(np.mean(means)),
        "element_reference_mae": float(np.mean(linear)),
    }


def element_reference(
    fractions: pd.DataFrame, targets: pd.Series[float], train: Sequence[str], test: Sequence[str]
) -> Floats:
    """Predictions of the linear element reference, shape [len(test)].

    Args:
        fractions: What `fraction_table` returns.
        targets: Targets by id.
        train: Ids to fit on.
        test: Ids to predict.
    """
    known = np.asarray(targets.loc[list(train)], dtype=np.float64)
    weights = linear_reference(fractions.loc[list(train)].to_numpy(), known, RIDGE)
    prediction: Floats = fractions.loc[list(test)].to_numpy() @ weights
    return prediction
