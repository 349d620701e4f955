"""What each rule adds to the one before it: seen on the inner folds, reported on the test folds."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foldwise.statistics.intervals import Interval, mean_interval
from foldwise.submissions.board.rules import AVERAGED, CHOSEN, STRUCTURE, TWO_LEVEL
from foldwise.submissions.board.standings import column, scores_by_row

STEP_COLUMNS = ("task", "rule", "after", "metric", "seen", "gain", "low", "high")
_AFTER = {
    "mean": ("best_member",),
    "median": ("mean",),
    "stacked": ("median",),
    "boosted": ("median",),
    "neighbours": ("boosted",),
    "composition": ("neighbours",),
    "beside": ("composition",),
    STRUCTURE: ("beside", "composition"),
    "weighted": (STRUCTURE, "beside", "composition"),
    AVERAGED: ("weighted", STRUCTURE, "beside", "composition"),
    TWO_LEVEL: (AVERAGED,),
    CHOSEN: (TWO_LEVEL,),
}
"""By rule, the first of these that the task has is the step before."""


@dataclass(frozen=True)
class Step:
    """A rule against the one before it; positive numbers are improvements.

    Attributes:
        rule: Name of the rule.
        after: The rule before it.
        seen: Gain on the inner folds, mean over the test folds: what a choice could go by.
        gain: Gain on the test folds, paired by row, formulas drawn: what it turned out to be.
    """

    rule: str
    after: str
    seen: float
    gain: Interval


def steps(
    answers: pd.DataFrame,
    inner: Mapping[str, Mapping[str, float]],
    chosen: Mapping[str, str],
    *,
    classification: bool,
) -> list[Step]:
    """The steps of a task, in the order of its rules.

    Args:
        answers: `answers.parquet` of the task.
        inner: By test fold and rule, the loss on the inner folds.
        chosen: By test fold, the rule that was chosen.
        classification: Whether the target is a class; the score is then better where higher.
    """
    target, fold = column(answers, "target"), answers["fold"].to_numpy()
    formulas = answers["formula"].to_numpy(dtype=np.str_)
    losses = [{**by_rule, CHOSEN: by_rule[chosen[k]]} for k, by_rule in inner.items()]
    sign = 1.0 if classification else -1.0
    scores = {
        rule: scores_by_row(target, column(answers, rule), fold, classification)
        for rule in answers.columns.intersection(["best_member", *_AFTER])
    }
    found = []
    for rule in _AFTER:
        after = _before(rule, scores)
        if rule not in scores or after is None:
            continue
        gain = sign * (scores[rule] - scores[after])
        found.append(
            Step(
                rule=rule,
                after=after,
                seen=float(np.mean([by_rule[after] - by_rule[rule] for by_rule in losses])),
                gain=mean_interval(gain, formulas),
            )
        )
    return found


def crystal_gain(answers: pd.DataFrame, *, classification: bool) -> Interval | None:
    """What the crystal structures earned on the test rows that have one; None without any.

    Args:
        answers: `answers.parquet` of the task.
        classification: Whether the target is a class.
    """
    known = answers["crystal"].to_numpy(dtype=bool)
    after = _before(STRUCTURE, answers.columns)
    if STRUCTURE not in answers.columns or after is None or known.sum() < 2:
        return None
    target, fold = column(answers, "target"), answers["fold"].to_numpy()
    one, other = (
        scores_by_row(target, column(answers, rule), fold, classification)[known]
        for rule in (after, STRUCTURE)
    )
    gain = other - one if classification else one - other
    return mean_interval(gain, answers["formula"].to_numpy(dtype=np.str_)[known])


def _before(rule: str, rules: Container[str]) -> str | None:
    return next((name for name in _AFTER[rule] if name in rules), None)
