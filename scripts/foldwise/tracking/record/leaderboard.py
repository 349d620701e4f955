"""`leaderboard.csv`: every run in one table for spreadsheets, by default the worst first."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from foldwise.common.errors import FoldwiseError
from foldwise.tracking.record.entries import Entries, Entry, badness

COLUMNS = (
    "task", "experiment", "run_id", "identity", "status", "decision", "is_best",
    "test_presumably_seen", "unit", "ranked_by", "n", "mae_mean", "mae_std", "mae_all_rows",
    "mae_low", "mae_high", "rmse_mean", "abs_err_p95_mean", "max_abs_error_max", "real1", "real5",
    "lambada_top1", "score", "heldout_real1", "train_loss", "passes_per_prediction",
    "structures_per_s", "wall_time_sec", "started", "git_commit", "git_dirty", "host", "title",
    "reason",
)  # fmt: skip
COLUMNS_OF_RUNS = ("decision", "reason")
"""Columns that are computed from an entry and are no key of it."""
MAXIMISED = (
    "structures_per_s", "real1", "real5", "lambada_top1", "score", "heldout_real1", "coverage",
    "questions_per_s",
)  # fmt: skip


def leaderboard_csv(entries: Entries) -> str:
    """The table of all runs, task by task; runs without a result first, then the worst."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    added = {name for entry in entries.values() for name in entry["added"]}
    columns = [*COLUMNS, *sorted(added - set(COLUMNS))]
    writer.writerow(columns)
    tasks = sorted({str(entry["task"]) for entry in entries.values()})
    for task in tasks:
        own = [entry for entry in entries.values() if str(entry["task"]) == task]
        writer.writerows(
            [_cell(cell(entry, name)) for name in columns] for entry in worst_first(own)
        )
    return text.getvalue()


def cell(entry: Entry, column: str) -> object:
    """The value of a leaderboard column; `None` where a run has none."""
    if column == "decision":
        return entry["decision"]["verdict"]
    if column == "reason":
        failure = entry["failure"]
        return failure["reason"] if failure else entry["decision"]["reason"]
    return entry[column] if column in entry else entry["metrics"].get(column)


def worst_first(entries: Sequence[Entry]) -> list[Entry]:
    """Runs without a result, then the worst by what each is ranked by; equal ones by identity."""
    return sorted(entries, key=lambda entry: (-badness(entry), entry["identity"]))


def ranked(entries: Sequence[Entry], metric: str, direction: str | None = None) -> list[Entry]:
    """Complete runs that have `metric`, the best first.

    Args:
        entries: Some runs.
        metric: Name of a metric.
        direction: `min` or `max`; by default `min`, but `max` for a speed or a rate of hits.

    Raises:
        FoldwiseError: No run has the metric.
    """
    having = [entry for entry in entries if metric in entry["metrics"]]
    if not having:
        known = sorted({name for entry in entries for name in entry["metrics"]})
        raise FoldwiseError(
            f"no run has metric {metric!r}",
            where="--metric",
            hint=f"Known: {', '.join(known) or 'none'}.",
        )
    largest_first = (direction or ("max" if metric in MAXIMISED else "min")) == "max"
    sign = -1.0 if largest_first else 1.0
    return sorted(
        having, key=lambda entry: (sign * float(entry["metrics"][metric]), entry["identity"])
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    return "" if value is None else str(value)
