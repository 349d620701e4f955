"""The `prediction_intervals` block of `results.json`: how wide, and how often they hold."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import numpy as np
import pandas as pd

from foldwise.common.files import finite_or_none
from foldwise.experiment.inputs.intervals import member_answers
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.answer_intervals import CONFIDENCE, CONSTANT, DISAGREEMENT, MEMBERS
from foldwise.statistics.intervals import mean_interval
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import plural, value_text
from foldwise.study.kinds import NETWORK
from foldwise.study.outside.program import PROGRAM
from foldwise.study.outside.text import TEXT

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_HOW = {
    CONSTANT: "The model's absolute errors on training rows that it held out set one width for all "
    "crystals of a fold (split conformal prediction).",
    DISAGREEMENT: "The ensemble's absolute errors on training rows that every member held out, "
    "each divided by hypot(std, MAE of the members), set the width; a crystal's own std widens its "
    "interval (split conformal prediction).",
    MEMBERS: "Each member's absolute errors on the training rows that it held out, around that "
    "member's answer, set the ends; members that disagree about a crystal widen its interval "
    "(CV+).",
}

_OF_MIXED = (
    "The combined answers' absolute errors on training rows that a model of every recipe held out "
    "(and that a fitted rule was not fitted on), each divided by hypot(std of the recipes, mean "
    "absolute error), set the width; a crystal's own std widens its interval (split conformal "
    "prediction)."
)


def intervals_block(inputs: ExperimentInputs, rows: TestRows) -> Json | None:
    """The block; `None` where no model left answers for rows that it held out."""
    if not rows.intervals:
        return None
    first = next(iter(rows.intervals.values()))
    width = rows.table["high"] - rows.table["low"]
    return {
        "confidence": CONFIDENCE,
        "method": "cv+" if first.kind == MEMBERS else "split conformal",
        "scale": first.kind,
        "folds": [_fold_entry(rows, fold) for fold in rows.intervals],
        **_coverage(rows),
        "mean_width": finite_or_none(float(width.mean())),
        "median_width": finite_or_none(float(width.median())),
        "rows_without": int(width.isna().sum()),
        "reliability": reliability(inputs, rows, LEVELS),
        "statement": interval_statement(inputs, rows),
    }


def reliability(inputs: ExperimentInputs, rows: TestRows, levels: Sequence[float]) -> list[Json]:
    """Share of the test rows inside intervals of each nominal coverage that all folds can give."""
    inside = covered_at(inputs, rows, levels)
    return [
        {"nominal": level, "coverage": float(column.mean())}
        for level, column in zip(levels, inside.T, strict=True)
        if np.isfinite(column).all()
    ]


def covered_at(inputs: ExperimentInputs, rows: TestRows, levels: Sequence[float]) -> Floats:
    """Whether each test row lies inside its interval of each level, 1 or 0, `[n, levels]`.

    NaN where its fold has too few held-out rows for that level.
    """
    inside = np.full((len(rows.table), len(levels)), np.nan)
    for fold, made in rows.intervals.items():
        own = (rows.table["fold"] == fold).to_numpy()
        answers, size = member_answers(inputs, rows.members[own])
        needed = made.needed_rank(answers, size, rows.table["target"].to_numpy()[own])
        for column, level in enumerate(levels):
            rank = made.conformal.rank(level)
            if rank is not None:
                inside[own, column] = needed <= rank
    return inside


def _covered(rows: TestRows) -> Floats:
    """Whether the written interval holds the target, 1 or 0; NaN without an interval."""
    table = rows.table
    inside = (table["low"] <= table["target"]) & (table["target"] <= table["high"])
    covered: Floats = np.where(table["low"].notna(), inside, np.nan)
    return covered


def _fold_entry(rows: TestRows, fold: int) -> Json:
    table = rows.fold(fold)
    inside = _covered(rows)[(rows.table["fold"] == fold).to_numpy()]
    return {
        "fold": fold,
        "n_scores": rows.intervals[fold].conformal.n,
        "coverage": finite_or_none(float(inside.mean())),
        "mean_width": finite_or_none(float((table["high"] - table["low"]).mean())),
    }


def _coverage(rows: TestRows) -> Json:
    """Share of the rows whose interval holds the target, and its own interval over formulas."""
    inside = _covered(rows)
    known = np.isfinite(inside)
    if known.sum() < 2:
        return {"coverage": None, "coverage_interval": None}
    found = mean_interval(inside[known], rows.table["formula"].to_numpy()[known])
    return {"coverage": found.estimate, "coverage_interval": [found.low, min(found.high, 1.0)]}


def interval_statement(inputs: ExperimentInputs, rows: TestRows) -> str:
    """How the intervals were made, and what makes them too narrow."""
    made = list(rows.intervals.values())
    counts = [one.conformal.n for one in made]
    few = plural(min(counts), "such row")
    parts = [
        _HOW[made[0].kind] if inputs.mixture is None else _OF_MIXED,
        f"A fold has {few} at least." if min(counts) < max(counts) else f"A fold has {few}.",
    ]
    if any(one.conformal.rank(CONFIDENCE) is None for one in made):
        needed = int(np.ceil(CONFIDENCE / (1 - CONFIDENCE) - 1e-9))
        parts.append(f"That is too few: an interval of {100 * CONFIDENCE:.0f} % takes {needed}.")
    parts += _chosen_on(inputs)
    parts += _knowledge(inputs)
    held, test = _held_out_mae(inputs), _test_mae(inputs)
    parts.append(
        f"A model's MAE is {value_text(held)} on the rows that it held out and {value_text(test)} "
        "on test rows."
    )
    return " ".join(parts)


def _chosen_on(inputs: ExperimentInputs) -> list[str]:
    """What was chosen by the held-out rows, which makes errors on them too small."""
    kinds = {str(model.fit.get("kind", NETWORK)) for model in inputs.models}
    small = "so errors on them are a little too small"
    parts = {
        NETWORK: f"The kept epoch was chosen on these rows too, {small}.",
        PROGRAM: f"A program may have chosen by these rows, {small}.",
        TEXT: f"What a language model's recipe chooses, it chose on these rows, {small}.",
    }
    return [text for kind, text in parts.items() if kind in kinds]


def _knowledge(inputs: ExperimentInputs) -> list[str]:
    """What the models have learned about the held-out rows in other ways."""
    parts = []
    teacher = inputs.recipe.get("teacher")
    if teacher and teacher["targets"] == "recorded":
        parts.append("The recorded teachers were fitted to these rows, and to test rows as well.")
    elif teacher:
        parts.append(
            "The student's teachers were fitted to these rows and may pass on what they know of "
            "them, which makes the intervals too narrow as well."
        )
    if int(inputs.config["tta"]) > 1:
        parts.append("The shift of the views was measured on the same rows.")
    if inputs.pretrained:
        parts.append(
            "The pretrained weights may know the held-out crystals; for crystals that are new to "
            "them errors may be larger than the intervals say."
        )
    return parts


def _held_out_mae(inputs: ExperimentInputs) -> float:
    """Mean over the models of their MAE on rows that they held out."""
    rows = [model.held_out for model in inputs.models if model.held_out is not None]
    return _mean_mae(inputs, rows)


def _test_mae(inputs: ExperimentInputs) -> float:
    return _mean_mae(inputs, [model.predictions for model in inputs.models])


def _mean_mae(inputs: ExperimentInputs, answers: Sequence[pd.Series[float]]) -> float:
    targets = inputs.targets["target"]
    return mean(
        float((rows - targets[rows.index]).abs().mean()) for rows in answers if not rows.empty
    )
