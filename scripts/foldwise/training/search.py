"""Which of several trainings is adopted, by the errors on the hold-out that validates them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.study.recipe import Recipe

_WEIGHT = "teacher.soft_weight"


def choose_soft_weight(fits: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """The soft weight with the smallest validation MAE; of equal ones the smallest weight.

    No test row has a part in it: `val_mae_at_best` is the error on the hold-out.

    Args:
        fits: fit.json of one training per weight, alike in everything else.

    Returns:
        `soft_weight`, `seed`, `holdout`, `fold` and `tried`: weight, validation MAE and passes of
        every training.

    Raises:
        FoldwiseError: A file is missing, or the trainings differ in more than the weight.
    """
    records = [read_json(path) for path in fits]
    for path, record in zip(fits, records, strict=True):
        if _rest(record) != _rest(records[0]):
            raise FoldwiseError(
                f"it differs from {fits[0]} in more than the soft weight",
                where=str(path),
                hint="Compare trainings of one fold, seed and recipe.",
            )
    tried = sorted(
        (
            {
                "soft_weight": float(record["hyperparams"][_WEIGHT]),
                "val_mae": float(record["val_mae_at_best"]),
                "passes": int(record["passes"]),
            }
            for record in records
        ),
        key=lambda entry: entry["soft_weight"],
    )
    best = min(tried, key=lambda entry: entry["val_mae"])
    return {
        "soft_weight": best["soft_weight"],
        **{key: records[0][key] for key in ("task", "fold", "seed", "holdout")},
        "tried": tried,
    }


def adopted(recipe: Recipe, path: Path | None) -> Recipe:
    """The recipe with the soft weight that a search has chosen; itself where there was none.

    Raises:
        FoldwiseError: The file is missing, or the recipe has no teacher.
    """
    if path is None:
        return recipe
    if recipe.teacher is None:
        raise FoldwiseError(
            "a soft weight belongs to a recipe with a teacher",
            where="--soft-weight-from",
            hint="Leave it out.",
        )
    weight = float(read_json(path)["soft_weight"])
    return replace(recipe, teacher=replace(recipe.teacher, soft_weight=weight))


def _rest(record: dict[str, Any]) -> dict[str, Any]:
    """What trainings must share to be compared."""
    return {
        **{key: record[key] for key in ("task", "fold", "seed", "holdout", "n_train")},
        **{key: value for key, value in record["hyperparams"].items() if key != _WEIGHT},
    }
