"""The rules of combination: what each is made of, and its settings by size of the task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.features import Features
from foldwise.submissions.board.learners import (
    BoosterSettings,
    fit_booster,
    fit_classifier,
    fit_logistic,
    fit_weights,
)
from foldwise.submissions.board.rows import Bools, Rows
from foldwise.submissions.scoring import loss

SMALL_ROWS, LARGE_ROWS = 3_000, 30_000
BASIC = ("best_member", "mean", "median", "stacked")
STRUCTURE = "structure"
AVERAGED, TWO_LEVEL, CHOSEN = "averaged", "two_level", "chosen"

MEANING = {
    "best_member": "the member that is best on the other folds",
    "mean": "mean of the members",
    "median": "median of the members",
    "stacked": "weights on the simplex (classes: logistic regression)",
    "boosted": "a booster corrects the median of the members from what they predict",
    "neighbours": "and from rows of other folds with the same formula or chemical system",
    "composition": "and from the elements and their fractions",
    "beside": "and from what members of other tasks predict for the same formula",
    STRUCTURE: "and from the crystal structure, where there is one",
    "weighted": "as the last, but the weighted mean is corrected",
    AVERAGED: "mean of the rules with a booster",
    TWO_LEVEL: "weights on all of the above",
    CHOSEN: "what an inner cross-validation on the other folds chose",
}


@dataclass(frozen=True)
class _Boosted:
    """A rule with a booster: what it corrects, and what it sees."""

    base: str
    groups: tuple[str, ...]


_BOOSTED = {
    "boosted": _Boosted("median", ()),
    "neighbours": _Boosted("median", ("neighbours",)),
    "composition": _Boosted("median", ("neighbours", "composition")),
    "beside": _Boosted("median", ("neighbours", "composition", "beside")),
    STRUCTURE: _Boosted("median", ("neighbours", "composition", "beside", "structure")),
    "weighted": _Boosted("stacked", ("neighbours", "composition", "beside", "structure")),
}
_SAMPLED = {"bagging_freq": 1, "bagging_fraction": 0.8}
_SMALL = BoosterSettings(
    200,
    5,
    {
        **_SAMPLED, "bagging_fraction": 0.7, "learning_rate": 0.03, "num_leaves": 6,
        "min_data_in_leaf": 20, "feature_fraction": 0.3, "lambda_l2": 5.0,
    },
)  # fmt: skip
_MIDDLE = BoosterSettings(
    300,
    3,
    {
        **_SAMPLED, "learning_rate": 0.03, "num_leaves": 16, "min_data_in_leaf": 30,
        "feature_fraction": 0.3, "lambda_l2": 2.0,
    },
)  # fmt: skip
_LARGE = BoosterSettings(
    400, 1,
    {"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 50, "feature_fraction": 0.6},
)  # fmt: skip
_LARGER = BoosterSettings(
    300,
    1,
    {
        **_SAMPLED, "learning_rate": 0.08, "num_leaves": 63, "min_data_in_leaf": 50,
        "feature_fraction": 0.5, "lambda_l2": 1.0,
    },
    smooth=True,
)  # fmt: skip


def level_one(rows: Rows) -> list[str]:
    """Rules that are fitted on the members themselves, in the order of the steps."""
    names = [*BASIC, "boosted", "neighbours", "composition"]
    if rows.beside.shape[1]:
        names.append("beside")
    if rows.structure.shape[1]:
        names.append(STRUCTURE)
    if not rows.classification:
        names.append("weighted")
    return names


def inner_folds(rows: Rows, fold: int) -> list[int]:
    """Folds on which the rules are compared before they answer `fold`.

    All others; for a large task the two next to it, which have tens of thousands of rows and spare
    half of the fits.
    """
    count = len(rows.folds)
    if len(rows.ids) < LARGE_ROWS or count <= 3:
        return [other for other in rows.folds if other != fold]
    return sorted({(fold + 1) % count, (fold - 1) % count})


def answer(
    features: Features,
    rule: str,
    known: Collection[int],
    wanted: Collection[int],
    settings: BoosterSettings | None = None,
) -> Floats:
    """Answers of a rule of level one, for the rows of the folds `wanted`, in dataset order.

    Args:
        features: The columns of the task.
        rule: One of `level_one`.
        known: Folds whose labels may be used.
        wanted: Folds that are answered.
        settings: Of the rule's boosters; by default `settings_for` it.
    """
    rows = features.rows
    fitted = np.isin(rows.fold, list(known))
    asked = np.isin(rows.fold, list(wanted))
    if rule in _BOOSTED:
        chosen = settings or settings_for(rows, rule)
        return rows.clipped(_boosted(features, rule, known, (fitted, asked), chosen))
    return rows.clipped(_BASIC_RULES[rule](rows, fitted, asked))


def settings_for(rows: Rows, rule: str) -> BoosterSettings:
    """Settings of a rule's boosters: regularised strongly for few rows."""
    if len(rows.ids) < SMALL_ROWS:
        return _SMALL
    if len(rows.ids) < LARGE_ROWS:
        return _MIDDLE
    return _LARGE if rule in ("boosted", "neighbours") else _LARGER


def average(answers: Mapping[str, Floats]) -> Floats:
    """Mean answer `[n]` of the rules with a booster, given the answers of level one by rule."""
    boosted = [values for name, values in answers.items() if name in _BOOSTED]
    return np.asarray(np.mean(boosted, axis=0), dtype=np.float64)


def second_level(columns: Floats, target: Floats, asked: Floats, classification: bool) -> Floats:
    """Answers `[k]` from those of level one `[k, r]`, fitted on `columns` `[n, r]`."""
    if classification:
        return fit_logistic(columns, target, asked)
    return np.asarray(asked @ fit_weights(columns, target), dtype=np.float64)


def _boosted(
    features: Features,
    rule: str,
    known: Collection[int],
    parts: tuple[Bools, Bools],
    settings: BoosterSettings,
) -> Floats:
    rows, made, (fitted, asked) = features.rows, _BOOSTED[rule], parts
    base = np.median(rows.values, axis=1)
    if made.base == "stacked":
        base = rows.values @ fit_weights(rows.values[fitted], rows.target[fitted])
    matrix = features.matrix(made.groups, known, base)
    if rows.classification:
        return fit_classifier(matrix, rows.target, fitted, asked, settings)
    correction = fit_booster(matrix, rows.target - base, fitted, asked, settings)
    return np.asarray(base[asked] + correction, dtype=np.float64)


def _best_member(rows: Rows, fitted: Bools, asked: Bools) -> Floats:
    losses = [
        loss(rows.target[fitted], rows.values[fitted, index], rows.classification)
        for index in range(len(rows.names))
    ]
    return np.asarray(rows.values[asked, int(np.argmin(losses))], dtype=np.float64)


def _stacked(rows: Rows, fitted: Bools, asked: Bools) -> Floats:
    values, target = rows.values[fitted], rows.target[fitted]
    if rows.classification:
        return fit_logistic(values, target, rows.values[asked])
    # All rows where the result is reported, a sample where rules are only compared.
    full = len(set(rows.fold[fitted].tolist())) == len(rows.folds) - 1
    return np.asarray(rows.values[asked] @ fit_weights(values, target, exact=full))


_BASIC_RULES: dict[str, Callable[[Rows, Bools, Bools], Floats]] = {
    "best_member": _best_member,
    "mean": lambda rows, _, asked: rows.values[asked].mean(axis=1),
    "median": lambda rows, _, asked: np.median(rows.values[asked], axis=1),
    "stacked": _stacked,
}
