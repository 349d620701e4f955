"""How near a test set is to its training set in what it is made of, structures apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from foldwise.tasks.cuts.rule import chemical_system
from foldwise.tasks.splits import FoldSplit

COUNTS = ("n_test_same_system", "n_test_new_element")
MATCHER = "reduced formula alone: the dataset has no structures"


def nearness(formula: pd.Series[str], split: FoldSplit) -> dict[str, int]:
    """Counts of one fold.

    Args:
        formula: Reduced formula by id.
        split: The fold.

    Returns:
        Test rows whose set of elements stands in the training rows too, and test rows with an
        element that no training row has.
    """
    systems = {name: chemical_system(str(formula[name])) for name in (*split.train, *split.test)}
    known = {systems[name] for name in split.train}
    elements = {element for system in known for element in system.split("-")}
    tested = [systems[name] for name in split.test]
    return {
        "n_test_same_system": sum(system in known for system in tested),
        "n_test_new_element": sum(not elements.issuperset(one.split("-")) for one in tested),
    }


def with_nearness(
    report: dict[str, Any], targets: pd.DataFrame, splits: Sequence[FoldSplit]
) -> dict[str, Any]:
    """A duplicate report with the counts of `nearness` per fold and over all folds.

    Args:
        report: What `summarize` or `count_formula_duplicates` returns.
        targets: Table with columns `id` and `formula`.
        splits: The folds, in the order of the report.
    """
    formula = targets.set_index("id")["formula"]
    found = [nearness(formula, split) for split in splits]
    total = {key: sum(counts[key] for counts in found) for key in COUNTS}
    kind = splits[0].kind
    return {
        **report,
        **({} if kind is None else {"kind": kind}),
        "folds": [fold | counts for fold, counts in zip(report["folds"], found, strict=True)],
        "all_folds": report["all_folds"] | total,
    }


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
