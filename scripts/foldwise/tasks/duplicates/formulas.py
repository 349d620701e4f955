"""How much of a test set has a formula that stands in the training set, without structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from foldwise.tasks.splits import FoldSplit

MATCHER = "reduced formula alone: the dataset has no structures"


def count_formula_duplicates(targets: pd.DataFrame, splits: Sequence[FoldSplit]) -> dict[str, Any]:
    """Counts for duplicates.json; those of equal structures are None.

    Args:
        targets: Table with columns `id` and `formula`.
        splits: The folds.
    """
    formula = targets.set_index("id")["formula"]
    folds = []
    for split in splits:
        known = set(formula.loc[list(split.train)])
        shared = int(formula.loc[list(split.test)].isin(known).sum())
        folds.append({"fold": split.fold, **_shares(len(split.test), shared)})
    total = [
        sum(int(fold[key] or 0) for fold in folds) for key in ("n_test", "n_test_same_formula")
    ]
    return {
        "task": splits[0].task,
        "matcher": MATCHER,
        "folds": folds,
        "all_folds": _shares(total[0], total[1]),
    }


def _shares(n_test: int, n_formula: int) -> dict[str, int | float | None]:
    return {
        "n_test": n_test,
        "n_test_same_formula": n_formula,
        "n_test_same_structure": None,
        "fraction_same_formula": n_formula / n_test,
        "fraction_same_structure": None,
    }
