"""The table of docs/submissions.md, made from LEADERBOARD.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.statistics.wording import value_text
from foldwise.study.study import Study
from foldwise.submissions.board.rules import BASIC, CHOSEN
from foldwise.submissions.board.standings import CSV_COLUMNS


def board_table(study: Study, results: Path, _names: Sequence[str] = ()) -> list[str]:
    """Each task's chosen combination beside the best published result and the simple rules.

    Args:
        study: The study; it knows the units.
        results: Folder of LEADERBOARD.csv.

    Raises:
        FoldwiseError: The file is missing or lacks a column.
    """
    path = results / "LEADERBOARD.csv"
    if not path.is_file():
        raise FoldwiseError(
            "there is no such file",
            where=str(path),
            hint="Run snakemake --cores 2 --configfile config/leaderboard.yaml.",
        )
    table = pd.read_csv(path)
    lacking = [name for name in CSV_COLUMNS if name not in table]
    if lacking:
        raise FoldwiseError(
            f"it has no column {lacking[0]!r}", where=str(path), hint="Make it again."
        )
    lines = [
        "| task | score | best published from scratch | `chosen` [95 %] | "
        + " | ".join(f"`{rule}`" for rule in BASIC)
        + " | better than published |",
        "|" + "---|" * (5 + len(BASIC)),
    ]
    for task, rows in table.groupby("task", sort=False):
        by_rule = {str(row["rule"]): row for row in rows.to_dict("records")}
        lines.append(_line(str(task), study.datasets[str(task)]["unit"], by_rule))
    return lines


def _line(task: str, unit: str, by_rule: dict[str, dict[Any, Any]]) -> str:
    chosen = by_rule[CHOSEN]
    lower = chosen["metric"] == "mae"
    published = float(chosen["best_published"])
    better = chosen["value"] < published if lower else chosen["value"] > published
    ends = f"[{value_text(chosen['low'])}, {value_text(chosen['high'])}]"
    cells = [
        task.removeprefix("matbench_"),
        f"MAE, {unit}" if lower else "ROC-AUC of labels",
        f"{value_text(published)} ({str(chosen['source']).split(':')[0]})",
        f"{value_text(chosen['value'])} {ends}",
        *(value_text(by_rule[rule]["value"]) for rule in BASIC),
        "yes" if better else "no",
    ]
    return "| " + " | ".join(cells) + " |"
