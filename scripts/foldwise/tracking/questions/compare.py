"""Two runs side by side: config by path, metrics with paired intervals, code, environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json, read_parquet
from foldwise.statistics.intervals import Interval, mean_interval
from foldwise.tracking.record.artifacts import differing, place_of
from foldwise.tracking.record.code_state import git
from foldwise.tracking.record.entries import Entry
from foldwise.tracking.record.events import artifacts_of, start_of
from foldwise.tracking.record.registry import Registry

Json = dict[str, Any]

COLUMNS = ("id", "formula", "target", "prediction")
HITS = {"real1": "hit1", "real5": "hit5"}
"""Masked-LM metrics and the columns of their samples."""
PREDICTIONS = "predictions.parquet"
ABSENT = "(absent)"
INTERVAL_ENDS = ("mae_low", "mae_high")
"""Their difference says nothing: the paired interval does."""


def compare_runs(registry: Registry, first: str, second: str) -> Json:
    """What differs between two complete runs; differences are the second's value minus the first's.

    Args:
        registry: The registry that holds both.
        first: Identity of the run to start from.
        second: Identity of the other one.

    Raises:
        FoldwiseError: A run is unknown or not complete, or the two have no test row in common.
    """
    entries = registry.entries()
    pair = [_complete(entries.get(identity), identity) for identity in (first, second)]
    configs = [read_json(registry.folder(entry["identity"]) / "config.json") for entry in pair]
    facts = [_environment(registry.folder(entry["identity"]), entry["attempt"]) for entry in pair]
    return {
        "runs": [
            {
                key: entry[key]
                for key in ("identity", "experiment", "title", "task", "unit", "direction")
            }
            for entry in pair
        ],
        "config": differences(configs[0], configs[1]),
        "metrics": _metrics(*(entry["metrics"] for entry in pair)),
        "paired": _paired(registry, pair),
        "code": _code(*pair),
        "environment": differences(facts[0], facts[1]),
    }


def differences(
    first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = ""
) -> list[Json]:
    """Keys by dotted path whose values differ; a mapping against a plain value counts as one.

    deepdiff names paths in a notation of its own and takes lists apart, which are values here.
    """
    found: list[Json] = []
    for key in sorted({*first, *second}):
        values = [side.get(key, ABSENT) for side in (first, second)]
        path = f"{prefix}{key}"
        if isinstance(values[0], Mapping) and isinstance(values[1], Mapping):
            found += differences(values[0], values[1], f"{path}.")
        elif values[0] != values[1]:
            found.append({"key": path, "first": values[0], "second": values[1]})
    return found


def paired_intervals(rows: pd.DataFrame) -> dict[str, Interval]:
    """Intervals of the difference of MAE and of mean squared error on the same rows.

    The intervals cover other crystals, but no other training seed.

    Args:
        rows: One row per test crystal: formula, target, prediction of the first, and of the second.
    """
    target = rows["target"].to_numpy()
    errors = [rows[column].to_numpy() - target for column in ("first", "second")]
    per_row = {
        "mae": np.abs(errors[1]) - np.abs(errors[0]),
        "mse": np.square(errors[1]) - np.square(errors[0]),
    }
    return {
        name: mean_interval(values, rows["formula"].to_numpy()) for name, values in per_row.items()
    }


def snapshot(registry: Registry, entry: Entry) -> Path:
    """Folder with the copied results of a run's last complete attempt."""
    return registry.folder(entry["identity"]) / f"attempt_{entry['attempt']}"


def predictions_of(registry: Registry, entry: Entry) -> Path | None:
    """The predictions of a run's last complete attempt; `None` where it made none.

    Raises:
        FoldwiseError: They were kept by reference, and another file lies there now.
    """
    run = registry.folder(entry["identity"])
    artifact = artifacts_of(run, entry["attempt"]).get(PREDICTIONS)
    if artifact is None:
        copied = snapshot(registry, entry) / PREDICTIONS  # as runs before checksums have it
        return copied if copied.exists() else None
    for _, problem in differing(run, {PREDICTIONS: artifact}):
        raise FoldwiseError(
            f"its predictions are {problem} since the run",
            where=entry["identity"],
            hint="Make the run again.",
        )
    return place_of(run, artifact)


def _complete(entry: Entry | None, identity: str) -> Entry:
    if entry is None or entry["status"] != "complete":
        problem = "no such run" if entry is None else f"the run is {entry['status']}, not complete"
        raise FoldwiseError(
            problem, where=identity, hint="List them: python scripts/runs.py list --status complete"
        )
    return entry


def _metrics(first: Mapping[str, float], second: Mapping[str, float]) -> list[Json]:
    names = [*first, *(name for name in second if name not in first)]
    rows = []
    for name in names:
        if name in INTERVAL_ENDS:
            continue
        values = first.get(name), second.get(name)
        known = values[0] is not None and values[1] is not None
        delta = values[1] - values[0] if known else None  # type: ignore[operator]
        rows.append({"name": name, "first": values[0], "second": values[1], "delta": delta})
    return rows


def _paired(registry: Registry, pair: list[Entry]) -> Json | None:
    """Differences on the same rows; `None` where a run, as a training, predicts nothing."""
    paths = [predictions_of(registry, entry) for entry in pair]
    if any(path is None for path in paths):
        return None
    tables = [pd.read_parquet(path) for path in paths if path is not None]
    if all(set(HITS.values()) <= set(table) for table in tables):
        return _paired_hits(tables, pair)
    tables = [read_parquet(path, COLUMNS) for path in paths if path is not None]
    first, second = (table[list(COLUMNS)].set_index("id") for table in tables)
    both = first.join(second, how="inner", lsuffix="_first", rsuffix="_second").sort_index()
    both = both[both["target_first"] == both["target_second"]]
    if len(both) < 2:
        raise _nothing_in_common(pair)
    rows = both.rename(
        columns={
            "formula_first": "formula", "target_first": "target", "prediction_first": "first",
            "prediction_second": "second",
        }
    )  # fmt: skip
    intervals = paired_intervals(rows)
    return _differences(intervals, rows, (first, second))


def _paired_hits(tables: list[pd.DataFrame], pair: list[Entry]) -> Json:
    """Differences of masked-LM rates on the same samples; whole texts are drawn."""
    first, second = (table.set_index("id") for table in tables)
    both = first.join(second, how="inner", lsuffix="_first", rsuffix="_second").sort_index()
    both = both[both["noun_first"] == both["noun_second"]]
    if len(both) < 2:
        raise _nothing_in_common(pair)
    intervals = {
        name: mean_interval(
            both[f"{hit}_second"].to_numpy(float) - both[f"{hit}_first"].to_numpy(float),
            both["text_id_first"].to_numpy(),
        )
        for name, hit in HITS.items()
    }
    return _differences(intervals, both, (first, second))


def _nothing_in_common(pair: list[Entry]) -> FoldwiseError:
    return FoldwiseError(
        "the two runs have no test rows in common",
        where=f"{pair[0]['identity']} and {pair[1]['identity']}",
        hint="Compare runs of one task.",
    )


def _differences(
    intervals: Mapping[str, Interval], rows: pd.DataFrame, tables: Sequence[pd.DataFrame]
) -> Json:
    return {
        "rows": len(rows),
        "rows_left_out": [len(table) - len(rows) for table in tables],
        "differences": [
            {
                "name": name,
                "delta": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "confidence": interval.confidence,
                "excludes_zero": interval.excludes_zero,
            }
            for name, interval in intervals.items()
        ],
    }


def _code(first: Entry, second: Entry) -> Json:
    """Commits that only one of the two runs has, and whether their trees were dirty."""
    commits = [entry["git_commit"] for entry in (first, second)]
    log: Json = {"only_first": [], "only_second": []}
    if all(commits) and commits[0] != commits[1]:
        for name, (known, other) in {
            "only_first": (commits[1], commits[0]),
            "only_second": (commits[0], commits[1]),
        }.items():
            lines = git(REPOSITORY, "log", "--format=%h %s", f"{known}..{other}")
            log[name] = None if lines is None else lines.decode().splitlines()
    return {
        "commits": commits,
        "dirty": [entry["git_dirty"] for entry in (first, second)],
        "same_changes": first["dirty_hash"] == second["dirty_hash"],
        **log,
    }


def _environment(folder: Path, attempt: int) -> Json:
    begun = start_of(folder, attempt)
    return {**begun["environment"], "host": begun["host"]}
