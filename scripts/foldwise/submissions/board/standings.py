"""The rows of LEADERBOARD.csv: the score of each rule, with its interval over formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from foldwise.statistics.intervals import Interval, mean_interval
from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.rules import CHOSEN
from foldwise.submissions.board.task import ANSWER_COLUMNS
from foldwise.submissions.scoring import metric_name, probability_rocauc, row_scores

CSV_COLUMNS = (
    "task", "rule", "metric", "value", "low", "high", "best_published", "source", "chosen",
)  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """The score of one rule on one task.

    Attributes:
        rule: Name of the rule.
        value: Mean over folds of the fold's score, as Matbench ranks.
        folds: Score of each fold.
        interval: Of the score over all rows, formulas drawn.
        to_chosen: Score minus that of the chosen rule, paired, with its interval; None for itself.
        rocauc: ROC-AUC of the probabilities themselves, mean over folds; None for a regression.
    """

    rule: str
    value: float
    folds: tuple[float, ...]
    interval: Interval
    to_chosen: Interval | None
    rocauc: float | None


def standings(answers: pd.DataFrame, *, classification: bool) -> list[Standing]:
    """Score every rule of a table of answers, in its order.

    Args:
        answers: `answers.parquet` of a task.
        classification: Whether the target is a class.
    """
    rules = [str(name) for name in answers.columns if name not in ANSWER_COLUMNS]
    target, fold = column(answers, "target"), answers["fold"].to_numpy()
    formulas = answers["formula"].to_numpy(dtype=np.str_)
    chosen = scores_by_row(target, column(answers, CHOSEN), fold, classification)
    found = []
    for rule in rules:
        predicted = column(answers, rule)
        scores = scores_by_row(target, predicted, fold, classification)
        per_fold = tuple(float(scores[fold == number].mean()) for number in np.unique(fold))
        difference = None
        if rule != CHOSEN:
            difference = mean_interval(scores - chosen, formulas)
        found.append(
            Standing(
                rule=rule,
                value=float(np.mean(per_fold)),
                folds=per_fold,
                interval=mean_interval(scores, formulas),
                to_chosen=difference,
                rocauc=_rocauc(target, predicted, fold) if classification else None,
            )
        )
    return found


def csv_rows(
    task: str, found: list[Standing], best: dict[str, Any] | None, *, classification: bool
) -> list[dict[str, Any]]:
    """The rows of a task with `CSV_COLUMNS`; `best` is the best published result from scratch."""
    metric = metric_name(classification)
    return [
        {
            "task": task,
            "rule": standing.rule,
            "metric": metric,
            "value": standing.value,
            "low": standing.interval.low,
            "high": standing.interval.high,
            "best_published": best[metric] if best else None,
            "source": f"{best['name']}: {best['source']}" if best else None,
            "chosen": standing.rule == CHOSEN,
        }
        for standing in found
    ]


def best_of(board: dict[str, Any] | None, start: str) -> dict[str, Any] | None:
    """The best published result of models that start so ("scratch" or "pretrained")."""
    entries = [entry for entry in board["entries"] if entry["start"] == start] if board else []
    if board is None or not entries:
        return None
    metric = board["metric"]
    choose = max if metric == "rocauc" else min
    best: dict[str, Any] = choose(entries, key=lambda entry: float(entry[metric]))
    return best


def scores_by_row(target: Floats, predicted: Floats, fold: Floats, classification: bool) -> Floats:
    """`row_scores` of each fold, so that their mean over a fold is its score `[n]`."""
    scores = np.empty(len(target))
    for number in np.unique(fold):
        rows = fold == number
        scores[rows] = row_scores(target[rows], predicted[rows], classification)
    return scores


def _rocauc(target: Floats, predicted: Floats, fold: Floats) -> float:
    values = [
        probability_rocauc(target[fold == number], predicted[fold == number])
        for number in np.unique(fold)
    ]
    return float(np.mean(values))


def column(table: pd.DataFrame, name: str) -> Floats:
    """A column of numbers `[n]`."""
    return np.asarray(table[name].to_numpy(dtype=np.float64))
