"""Two models that need no crystal structure: what any trained model must beat."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.statistics.metrics import Floats

RIDGE = 1e-6
_TOKEN = re.compile(r"([A-Z][a-z]?|\)|\()(\d*\.?\d*)")


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
    weights = _ridge(fractions.loc[list(train)].to_numpy(), known)
    prediction: Floats = fractions.loc[list(test)].to_numpy() @ weights
    return prediction


def atomic_fractions(formula: str) -> dict[str, float]:
    """Atomic fraction of each element of a formula such as `Ca(NO3)2`.

    Raises:
        FoldwiseError: The text is no formula.
    """
    stack: list[dict[str, float]] = [{}]
    opened: list[float] = []
    position = 0
    # Reading from the right, a group's multiplier is known before its elements.
    tokens = list(_TOKEN.finditer(formula))
    for token in reversed(tokens):
        symbol, count = token[1], float(token[2] or 1)
        position += len(token[0])
        if symbol == ")":
            opened.append(count)
            stack.append({})
        elif symbol == "(" and opened:
            factor = opened.pop()
            for element, amount in stack.pop().items():
                stack[-1][element] = stack[-1].get(element, 0.0) + factor * amount
        else:
            stack[-1][symbol] = stack[-1].get(symbol, 0.0) + count
    if position != len(formula) or opened or "(" in stack[0] or not stack[0]:
        raise FoldwiseError(
            "it is no chemical formula", where=repr(formula), hint="Mend the targets file."
        )
    return _normalised(stack[0])


def _normalised(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    return {element: amount / total for element, amount in sorted(amounts.items())}


def fraction_table(formulas: pd.Series[str]) -> pd.DataFrame:
    """Atomic fractions of every formula, one column per element; indexed as `formulas`."""
    distinct = {formula: atomic_fractions(formula) for formula in formulas.unique()}
    elements = sorted({element for fractions in distinct.values() for element in fractions})
    column = {element: k for k, element in enumerate(elements)}
    matrix = np.zeros((len(formulas), len(elements)))
    for row, formula in enumerate(formulas):
        for element, fraction in distinct[formula].items():
            matrix[row, column[element]] = fraction
    return pd.DataFrame(matrix, index=formulas.index, columns=elements)


def _ridge(features: Floats, target: Floats) -> Floats:
    gram = features.T @ features + RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ target), dtype=np.float64)
