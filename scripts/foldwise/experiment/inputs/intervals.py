"""Prediction intervals of the test rows, each fold's from what its own models held out.

No test label enters: the rows that a fold's models held out are training rows of that fold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from foldwise.experiment.inputs.mixture import Mixture
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.answer_intervals import AnswerIntervals
from foldwise.statistics.metrics import Floats

CLASSES = "logistic"
"""Transform of a task whose predictions are probabilities."""


def fold_intervals(inputs: ExperimentInputs) -> dict[int, AnswerIntervals]:
    """How each fold's intervals are made.

    Empty where a model left no answers for held-out rows, and for probabilities: a target is 0 or
    1, and the calibration table says how far they can be trusted.
    """
    if any(_answers_probabilities(model.fit) for model in inputs.models):
        return {}
    made: dict[int, AnswerIntervals] = {}
    if inputs.mixture is not None:
        return _mixed_intervals(inputs, inputs.mixture)
    for fold in sorted(inputs.splits):
        models = [model for model in inputs.models if model.fold == fold]
        held_out = [model.held_out for model in models if model.held_out is not None]
        if not models or len(held_out) < len(models) or any(rows.empty for rows in held_out):
            return {}
        floor = float(np.mean([model.fit["val_mae_at_best"] for model in models]))
        made[fold] = AnswerIntervals.fit(held_out, inputs.targets["target"], sizes(inputs), floor)
    return made


def is_classification(inputs: ExperimentInputs) -> bool:
    """Whether every model answers the probability of a class."""
    return bool(inputs.models) and all(_answers_probabilities(model.fit) for model in inputs.models)


def _answers_probabilities(fit: Json) -> bool:
    """A network by its transform; a model from outside, whose transform is its own, says so."""
    transform = fit["target_transform"]
    return bool(transform["name"] == CLASSES or transform.get("classes"))


def _mixed_intervals(inputs: ExperimentInputs, mixture: Mixture) -> dict[int, AnswerIntervals]:
    """From what the rule says of rows that a model of every recipe held out; empty without them."""
    made: dict[int, AnswerIntervals] = {}
    for fold, held_out in sorted(mixture.held_out.items()):
        if held_out.empty:
            return {}
        error = (held_out["mean"] - inputs.targets["target"].loc[held_out.index]).abs()
        floor = float((error / sizes(inputs).loc[held_out.index]).mean())
        around = [held_out["mean"] - held_out["std"], held_out["mean"] + held_out["std"]]
        made[fold] = AnswerIntervals.fit(around, inputs.targets["target"], sizes(inputs), floor)
    return made


def sizes(inputs: ExperimentInputs) -> pd.Series[float]:
    """What errors are scored by: atoms of a target that grows with the cell, else 1; by id."""
    atoms = inputs.targets["n_atoms"].astype(np.float64)
    return atoms if not inputs.card.get("intensive", True) else atoms * 0.0 + 1.0


def interval_ends(
    inputs: ExperimentInputs, made: Mapping[int, AnswerIntervals], members: pd.DataFrame
) -> tuple[Floats, Floats]:
    """Lower and upper ends of every test row; NaN where there is no interval.

    Args:
        inputs: The experiment's inputs.
        made: What `fold_intervals` returns.
        members: Answers of the members by id, one column each, and the column `fold`.
    """
    ends = np.full((2, len(members)), np.nan)
    for fold, intervals in made.items():
        own = (members["fold"] == fold).to_numpy()
        rows = members[own].drop(columns="fold")
        ends[:, own] = intervals.ends(*member_answers(inputs, rows))
    return ends[0], ends[1]


def member_answers(inputs: ExperimentInputs, rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Answers of the members `[members, n]` and sizes `[n]` of rows with one column per member.

    Of a mixed experiment two answers stand for all: their mean is what the rule says, and their
    standard deviation that of the recipes.
    """
    answers: Floats = rows.to_numpy(dtype=np.float64).T
    if inputs.mixture is not None:
        combined = pd.concat(list(inputs.ensembles.values())).loc[rows.index]
        mean, std = (combined[name].to_numpy(dtype=np.float64) for name in ("mean", "std"))
        answers = np.stack([mean - std, mean + std])
    size: Floats = np.asarray(sizes(inputs).loc[rows.index], dtype=np.float64)
    return answers, size
