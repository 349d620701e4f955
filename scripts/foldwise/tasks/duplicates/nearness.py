"""How near a test set is to its training set in what it is made of, structures apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from foldwise.tasks.cuts.rule import chemical_system
from foldwise.tasks.splits import FoldSplit

COUNTS = ("n_test_same_system", "n_test_new_element")


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
