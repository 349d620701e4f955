"""Combine models of several recipes by one rule, fitted on rows of the fold that they held out.

Models of one recipe answer as their mean, so that a rule sees one column per recipe. Of a row that
was held out a recipe answers by those of its models that held it out; rows for which every recipe
has one are what `stacked` and `boosted` are fitted on. No test row enters, and no member that was
trained on another fold's test rows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet
from foldwise.crystals.names import copied_crystal
from foldwise.statistics.metrics import Floats
from foldwise.submissions.rules import Combiner, fitted_rule, weights_of
from foldwise.submissions.settings import FITTED_RULES, BoosterOptions
from foldwise.submissions.stacking import SOLVER

_PARTS = 5  # of the held-out rows, by formula, for what the rule says of rows it was not fitted on
_FEWEST = 10  # rows to fit a rule on


@dataclass(frozen=True)
class Answers:
    """Answers of the recipes.

    Attributes:
        ids: Rows `[n]`.
        recipes: Names `[m]`.
        values: Mean answer of each recipe's models `[n, m]`.
    """

    ids: list[str]
    recipes: list[str]
    values: Floats

    def without(self, recipe: str) -> Answers:
        """The answers of the other recipes."""
        kept = [at for at, name in enumerate(self.recipes) if name != recipe]
        return Answers(self.ids, [self.recipes[at] for at in kept], self.values[:, kept])


@dataclass(frozen=True)
class MemberFiles:
    """Files of one member on one fold.

    Attributes:
        recipe: Its recipe.
        seed: Its seed.
        asked: Its answers for the rows to combine.
        held_out: Its answers for training rows, with the column `held_out`.
    """

    recipe: str
    seed: int
    asked: Path
    held_out: Path


@dataclass(frozen=True)
class Rule:
    """How answers are combined: one of `settings.RULES`, and the settings of a booster."""

    name: str
    booster: BoosterOptions

    def fitted(self, answers: Answers, formulas: Sequence[str], target: Floats) -> Combiner:
        """The rule, fitted on these rows where it is one that is fitted; one recipe is itself."""
        name = self.name if len(answers.recipes) > 1 else "mean"
        return fitted_rule(name, self.booster, answers.values, formulas, target)


def left_out(fits: Sequence[str | Path]) -> dict[tuple[str, int], str]:
    """Members that failed on any fold, by recipe and seed, with the first reason.

    They are left out on all folds, so that all test rows are answered by the same members.
    """
    reasons: dict[tuple[str, int], str] = {}
    for path in fits:
        fit = read_json(path)
        if fit.get("failed"):
            reasons.setdefault((str(fit["recipe"]), int(fit["seed"])), str(fit["failed"]))
    return reasons


def combine_mixed(
    members: Sequence[MemberFiles],
    targets: str | Path,
    rule: Rule,
    failed: Mapping[tuple[str, int], str],
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Combine the members of one fold.

    Args:
        members: All members, in the config's order.
        targets: targets.parquet; targets of held-out training rows alone are looked at.
        rule: How they are combined.
        failed: Members to leave out, with the reason.

    Returns:
        Tables by name, and what was done, for JSON. `combined` and `held_out` have id, mean, std
        (over the recipes, `ddof=0`) and n (recipes); `held_out` is what a rule that was fitted on
        the other held-out rows says. `without` has a column per recipe: the answers without it.

    Raises:
        FoldwiseError: No member is left, or no row is left to fit the rule on.
    """
    used = [one for one in members if (one.recipe, one.seed) not in failed]
    if not used:
        raise FoldwiseError(
            f"every member failed ({next(iter(failed.values()))})",
            where="members",
            hint="Mend one of them.",
        )
    asked, held = _asked(used), _held_out(used)
    table = read_parquet(targets, ("id", "formula", "target")).set_index("id")
    known = table.loc[held.ids]
    formulas = table["formula"].astype(str).reindex(_crystals(asked.ids, table.index)).tolist()
    held_formulas, target = known["formula"].astype(str).tolist(), known["target"].to_numpy(float)
    if rule.name in FITTED_RULES and len(asked.recipes) > 1 and len(held.ids) < _FEWEST:
        raise FoldwiseError(
            f"{len(held.ids)} rows were held out by a model of every recipe, too few to fit "
            f"{rule.name} on",
            where="members",
            hint="Give the recipes a seed in common, or take combine: mean or median.",
        )
    started = time.perf_counter()
    combiner = rule.fitted(held, held_formulas, target)
    fitted = time.perf_counter()
    combined = combiner.predict(asked.values, formulas)
    predicted = time.perf_counter()
    without = {
        name: rule.fitted(held.without(name), held_formulas, target).predict(
            asked.without(name).values, formulas
        )
        for name in asked.recipes
        if len(asked.recipes) > 1
    }
    weights = weights_of(combiner)
    done = {
        "rule": rule.name,
        "recipes": asked.recipes,
        "members": [{"recipe": one.recipe, "seed": one.seed} for one in used],
        "left_out": [
            {"recipe": recipe, "seed": seed, "reason": why}
            for (recipe, seed), why in failed.items()
        ],
        "weights": None if weights is None else dict(zip(asked.recipes, weights, strict=True)),
        "solver": SOLVER if rule.name == "stacked" else None,
        "options": asdict(rule.booster) if rule.name == "boosted" else {},
        "fitted_on_rows": len(held.ids) if rule.name in FITTED_RULES else 0,
        "fit_seconds": fitted - started,
        "predict_seconds": predicted - fitted,
    }
    return {
        "combined": _table(asked, combined),
        "held_out": _table(held, _cross_fitted(rule, held, held_formulas, target)),
        "without": pd.DataFrame({"id": asked.ids, **without}),
    }, done


def _crystals(ids: Sequence[str], known: pd.Index[str]) -> list[str]:
    """Ids under which formulas are known; of a copy, that of its crystal."""
    return [name if name in known else copied_crystal(name) or name for name in ids]


def _table(answers: Answers, combined: Floats) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": answers.ids,
            "mean": combined,
            "std": answers.values.std(axis=1),
            "n": np.full(len(answers.ids), len(answers.recipes)),
        }
    )


def _asked(members: Sequence[MemberFiles]) -> Answers:
    columns: dict[str, list[Floats]] = {}
    ids: list[str] | None = None
    for member in members:
        table = read_parquet(member.asked, ("id", "prediction"))
        found = table["id"].astype(str).tolist()
        if ids is not None and found != ids:
            raise FoldwiseError(
                f"it holds other rows than {members[0].asked}",
                where=str(member.asked),
                hint="Make both again with the splits of this study.",
            )
        ids = found
        columns.setdefault(member.recipe, []).append(table["prediction"].to_numpy(np.float64))
    means = [np.mean(values, axis=0) for values in columns.values()]
    return Answers(ids or [], list(columns), np.stack(means, axis=1))


def _held_out(members: Sequence[MemberFiles]) -> Answers:
    """Rows that a model of every recipe held out, in the order of the first recipe's."""
    parts: dict[str, list[pd.Series[float]]] = {}
    for member in members:
        table = read_parquet(member.held_out, ("id", "prediction", "held_out"))
        own = table[table["held_out"].astype(bool)]
        answers = pd.Series(own["prediction"].to_numpy(np.float64), index=own["id"].astype(str))
        parts.setdefault(member.recipe, []).append(answers)
    means = {
        name: pd.concat(series).groupby(level=0, sort=False).mean()
        for name, series in parts.items()
    }
    joined = pd.concat(means, axis=1, join="inner")
    return Answers(joined.index.tolist(), list(means), joined.to_numpy(np.float64))


def _cross_fitted(rule: Rule, held: Answers, formulas: Sequence[str], target: Floats) -> Floats:
    """The rule's answers for held-out rows, each fitted on parts without the row's formula."""
    count = len(held.ids)
    if not count:
        return np.zeros(0)
    if rule.name not in FITTED_RULES:
        return rule.fitted(held, formulas, target).predict(held.values, formulas)
    distinct = {formula: at % _PARTS for at, formula in enumerate(dict.fromkeys(formulas))}
    part: npt.NDArray[np.int64] = np.array([distinct[formula] for formula in formulas])
    answers = np.full(count, np.nan)
    for number in range(_PARTS):
        own = part == number
        if not own.any():
            continue
        rest = np.flatnonzero(~own).tolist()
        others = Answers([held.ids[at] for at in rest], held.recipes, held.values[rest])
        combiner = rule.fitted(others, [formulas[at] for at in rest], target[rest])
        answers[own] = combiner.predict(
            held.values[own], [formulas[at] for at in np.flatnonzero(own).tolist()]
        )
    return answers
