"""One task of the leaderboard: combine its members, and write what was done."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import write_json, write_parquet
from foldwise.submissions.board.nested import Combined, combine, leave_one_out
from foldwise.submissions.board.rows import Rows, read_rows
from foldwise.submissions.board.rules import CHOSEN, inner_folds, settings_for
from foldwise.submissions.scoring import CROSS_FOLD

ANSWER_COLUMNS = ("id", "formula", "fold", "target", "crystal")
"""Columns of a table of answers; every other one is a rule."""


def combine_task(
    members: str | os.PathLike[str],
    task: str,
    out: str | os.PathLike[str],
    *,
    classification: bool,
    low: float | None = None,
    others: Sequence[str | os.PathLike[str]] = (),
    structures: str | os.PathLike[str] | None = None,
) -> None:
    """Write `combined.json` and, where the task has a member, `answers.parquet` and its folds.

    `fold_{k}/test.parquet` and `test.json` are what an experiment of recorded teachers is made of.

    Args:
        members: Table of members.
        task: Name of the task.
        out: Folder to write.
        classification: Whether the target is a class.
        low: Smallest value that physics allows.
        others: Tables of members of other tasks.
        structures: Table of the task's crystals.

    Raises:
        FoldwiseError: A file is missing or lacks a column.
    """
    folder = Path(out)
    started = time.perf_counter()
    rows = read_rows(
        members, task, classification=classification, low=low, others=others, structures=structures
    )
    if rows is None:
        write_json(folder / "combined.json", {"task": task, "members": []})
        return
    combined = combine(rows)
    fitted = time.perf_counter()
    table = pd.DataFrame(
        {
            "id": rows.ids,
            "formula": rows.formulas,
            "fold": rows.fold,
            "target": rows.target,
            "crystal": ~np.isnan(rows.structure).all(axis=1),
        }
    )
    write_parquet(folder / "answers.parquet", table.assign(**combined.answers))
    for fold in rows.folds:
        _write_fold(folder / f"fold_{fold}", rows, combined, fold, fitted - started)
    content = {
        "task": task,
        "members": list(rows.names),
        "chosen": {str(fold): rule for fold, rule in combined.chosen.items()},
        "inner_loss": {str(fold): losses for fold, losses in combined.inner.items()},
        "inner_folds": {str(fold): inner_folds(rows, fold) for fold in rows.folds},
        "leave_one_out": leave_one_out(rows),
        "statement": CROSS_FOLD,
    }
    write_json(folder / "combined.json", content)


def _write_fold(folder: Path, rows: Rows, combined: Combined, fold: int, seconds: float) -> None:
    test = rows.fold == fold
    table = pd.DataFrame(
        {
            "id": rows.ids[test],
            "mean": combined.answers[CHOSEN][test],
            "std": rows.values[test].std(axis=1),
            "n": len(rows.names),
        }
    )
    write_parquet(folder / "test.parquet", table)
    rule = combined.chosen[fold]
    write_json(folder / "test.json", _done(rows, rule, fold, seconds / len(rows.folds)))


def _done(rows: Rows, rule: str, fold: int, seconds: float) -> dict[str, Any]:
    settings = settings_for(rows, rule)
    return {
        "rule": CHOSEN,
        "fold": fold,
        "members": list(rows.names),
        "weights": None,
        "solver": None,
        "options": {"chosen": rule, "trees": settings.trees, "boosters": settings.seeds},
        "fitted_on_folds": [other for other in rows.folds if other != fold],
        "fitted_on_rows": int((rows.fold != fold).sum()),
        "rows": int((rows.fold == fold).sum()),
        "fit_seconds": seconds,
        "predict_seconds": 0.0,
        "threads": 1,
    }
