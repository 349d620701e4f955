"""Which rows of several tasks a joint pretraining may fit, and with which labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from foldwise.tasks.splits import FoldSplit


@dataclass(frozen=True)
class JointRows:
    """Rows that may be fitted.

    Attributes:
        table: One row per structure: `task` and `id` of the graph that stands for it, and one
            column per task with its label, NaN where that task has none.
        held: The same of the hold-out, for which no test row of any task stands either.
        counts: Rows of all tasks, and how many were left out because of what.
    """

    table: pd.DataFrame
    held: pd.DataFrame
    counts: dict[str, int]


def joint_rows(
    groups: pd.DataFrame,
    labels: Mapping[str, Mapping[str, float]],
    splits: Mapping[str, FoldSplit],
    *,
    task: str,
    holdout: int,
) -> JointRows:
    """Rows outside every task's test set of this fold, and outside the hold-out.

    A row is left out if its structure is, or matches, that of a test row of *any* of the tasks:
    ids differ between tasks, and so do the folds. Rows of the hold-out on which the single-task
    training will stop early are left out in the same way, so that it still means something.

    Args:
        groups: What `structure_groups` of tasks/duplicates returns, and a column `usable`:
            whether the row has a graph.
        labels: Target by id, by task.
        splits: Split of this fold, by task.
        task: Task of the single-task training.
        holdout: Its hold-out.
    """
    test = _groups_of(groups, {name: set(split.test) for name, split in splits.items()})
    held = _groups_of(groups, {task: set(splits[task].fit_and_validation(holdout)[1])})
    in_test, in_holdout = groups["group"].isin(test), groups["group"].isin(held)
    usable = groups["usable"] & ~in_test
    table = _structures(groups[usable & ~in_holdout], labels)
    return JointRows(
        table=table,
        held=_structures(groups[usable & in_holdout], labels),
        counts={
            "rows": len(groups),
            "test_rows": sum(len(split.test) for split in splits.values()),
            "left_out_as_test": int(in_test.sum()),
            "left_out_as_holdout": int((in_holdout & ~in_test).sum()),
            "structures_fitted": len(table),
        },
    )


def _structures(rows: pd.DataFrame, labels: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """One row per structure: the first row that it has, and its label of every task."""
    table = rows.groupby("structure", sort=True)[["task", "id"]].first()
    values = [labels[name][crystal] for name, crystal in zip(rows["task"], rows["id"], strict=True)]
    by_task = rows.assign(label=values).pivot_table(
        index="structure", columns="task", values="label", aggfunc="mean"
    )
    return table.join(by_task.reindex(columns=list(labels))).reset_index(drop=True)


def _groups_of(groups: pd.DataFrame, ids: Mapping[str, set[str]]) -> set[int]:
    """Numbers of the groups that hold one of the rows."""
    named = [
        crystal in ids.get(task, ())
        for task, crystal in zip(groups["task"], groups["id"], strict=True)
    ]
    return set(groups.loc[named, "group"])
