"""The nested cross-validation: for each fold, what the other folds chose.

For test fold k every rule is fitted on the other folds without j, and answers fold j, for the inner
folds j. Those answers compare the rules, and teach the second level its weights. Then the rules are
fitted on all other folds and answer fold k. No label of fold k enters a fit, a comparison or a
choice; a fit without folds k and j serves both, so all of it costs 15 fits of a rule, not 25 (and
10 for a large task).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.features import Features
from foldwise.submissions.board.learners import BoosterSettings
from foldwise.submissions.board.rows import Rows
from foldwise.submissions.board.rules import (
    AVERAGED,
    CHOSEN,
    LARGE_ROWS,
    TWO_LEVEL,
    answer,
    average,
    inner_folds,
    level_one,
    second_level,
    settings_for,
)
from foldwise.submissions.scoring import fold_score, loss


@dataclass(frozen=True)
class Combined:
    """Answers of every rule for every row, each by a fit that did not see the row's fold.

    Attributes:
        answers: By rule, the answers `[n]`.
        inner: By fold and rule, the loss on the inner folds, which the choice is made by.
        chosen: By fold, the rule that was chosen.
    """

    answers: dict[str, Floats]
    inner: dict[int, dict[str, float]]
    chosen: dict[int, str]


def combine(rows: Rows) -> Combined:
    """Combine the members of a task by every rule, and choose for each fold."""
    features = Features(rows)
    names = level_one(rows)
    inner_answers = _inner_answers(features, names)
    everything = (*names, AVERAGED, TWO_LEVEL, CHOSEN)
    answers = {name: np.full(len(rows.ids), np.nan) for name in everything}
    inner: dict[int, dict[str, float]] = {}
    chosen: dict[int, str] = {}
    for fold in rows.folds:
        test = rows.fold == fold
        known = [other for other in rows.folds if other != fold]
        found = _level_one_answers(features, names, known, [fold])
        for name, values in found.items():
            answers[name][test] = values
        learned = inner_answers[fold]
        columns = np.column_stack([found[name] for name in names])
        answers[TWO_LEVEL][test] = _two_level(rows, names, learned, None, columns)
        inner[fold] = _inner_losses(rows, names, learned)
        chosen[fold] = min(inner[fold], key=inner[fold].__getitem__)
        answers[CHOSEN][test] = answers[chosen[fold]][test]
    return Combined(answers, inner, chosen)


def leave_one_out(rows: Rows, rule: str = "boosted") -> dict[str, float]:
    """By how much the score of `rule` gets worse without each member.

    Over all folds; for a large task over the first. One booster of half the trees answers with and
    without the member; both spare minutes. Positive means that the member helps. Empty for a single
    member.
    """
    if len(rows.names) < 2:
        return {}
    folds = rows.folds if len(rows.ids) < LARGE_ROWS else rows.folds[:1]
    usual = settings_for(rows, rule)
    quick = replace(usual, trees=max(1, usual.trees // 2), seeds=1)
    whole = _mean_score(rows, rule, folds, quick)
    sign = -1.0 if rows.classification else 1.0
    return {
        name: sign * (_mean_score(rows.without(name), rule, folds, quick) - whole)
        for name in rows.names
    }


def _mean_score(rows: Rows, rule: str, folds: list[int], settings: BoosterSettings) -> float:
    features = Features(rows)
    scores = []
    for fold in folds:
        known = [other for other in rows.folds if other != fold]
        test = rows.fold == fold
        found = answer(features, rule, known, [fold], settings)
        scores.append(fold_score(rows.target[test], found, rows.classification))
    return float(np.mean(scores))


def _level_one_answers(
    features: Features, names: list[str], known: Collection[int], wanted: Collection[int]
) -> dict[str, Floats]:
    found = {name: answer(features, name, known, wanted) for name in names}
    return {**found, AVERAGED: average(found)}


_InnerAnswers = dict[int, dict[int, dict[str, Floats]]]


def _inner_answers(features: Features, names: list[str]) -> _InnerAnswers:
    """By test fold and inner fold, the answers of each rule for the inner fold's rows."""
    rows = features.rows
    found: _InnerAnswers = {fold: {} for fold in rows.folds}
    for first, second in combinations(rows.folds, 2):
        if second not in inner_folds(rows, first):
            continue
        known = [fold for fold in rows.folds if fold not in (first, second)]
        both = rows.fold[np.isin(rows.fold, (first, second))]
        pair = _level_one_answers(features, names, known, (first, second))
        found[first][second] = {name: values[both == second] for name, values in pair.items()}
        found[second][first] = {name: values[both == first] for name, values in pair.items()}
    return found


def _two_level(
    rows: Rows,
    names: list[str],
    learned: dict[int, dict[str, Floats]],
    left_out: int | None,
    asked: Floats,
) -> Floats:
    """Answers of the second level, fitted on the inner folds without `left_out`."""
    folds = [fold for fold in learned if fold != left_out]
    columns = np.vstack(
        [np.column_stack([learned[fold][name] for name in names]) for fold in folds]
    )
    target = np.concatenate([rows.target[rows.fold == fold] for fold in folds])
    return rows.clipped(second_level(columns, target, asked, rows.classification))


def _inner_losses(
    rows: Rows, names: list[str], learned: dict[int, dict[str, Floats]]
) -> dict[str, float]:
    losses: dict[str, list[float]] = {name: [] for name in (*names, AVERAGED, TWO_LEVEL)}
    for fold, by_rule in learned.items():
        target = rows.target[rows.fold == fold]
        for name, values in by_rule.items():
            losses[name].append(loss(target, values, rows.classification))
        asked = np.column_stack([by_rule[name] for name in names])
        second = _two_level(rows, names, learned, fold, asked)
        losses[TWO_LEVEL].append(loss(target, second, rows.classification))
    return {name: float(np.mean(values)) for name, values in losses.items()}
