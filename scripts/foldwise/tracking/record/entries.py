"""An entry of the registry: what the events of one run add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from foldwise.tracking.record.decision import DISCARD, NEEDS_REVIEW
from foldwise.tracking.record.events import Event

Entry = dict[str, Any]
Entries = dict[str, Entry]

RANKED_BY = "mae_mean"
"""Metric by which a run is the best; a smaller one is better."""
_FACTS = (
    "experiment", "title", "study", "task", "recipe", "seeds", "config_hash", "git_commit",
    "git_branch", "git_dirty", "dirty_hash", "environment_hash", "host", "command",
)  # fmt: skip
_RESULTS = ("dataset_sha256", "run_id", "unit", "test_presumably_seen", "results")
_ENDS = {"complete": "complete", "fail": "failed", "stop": "stopped"}


def entry_of(identity: str, events: Iterable[Event]) -> Entry:
    """The entry of a run, a function of its events alone.

    A new start begins a new attempt: what the attempts before it measured stays in their own files
    and no longer counts.
    """
    entry: Entry = {
        "identity": identity, "status": "unknown", "attempts": 0, "started": None, "ended": None,
        "failure": None, "metrics": {}, "is_best": False,
        "decision": {"verdict": None, "reason": None, "by": None, "time": None},
        **dict.fromkeys(_FACTS), **dict.fromkeys(_RESULTS),
    }  # fmt: skip
    for event in events:
        _apply(entry, event)
    return entry


def _apply(entry: Entry, event: Event) -> None:
    kind = event["kind"]
    if kind == "start":
        entry |= {key: event.get(key) for key in _FACTS} | dict.fromkeys(_RESULTS)
        entry |= {"status": "running", "started": event["time"], "ended": None, "failure": None}
        entry |= {"attempts": entry["attempts"] + 1, "metrics": {}}
    elif kind in _ENDS:
        entry |= {"status": _ENDS[kind], "ended": event["time"]}
    if kind == "complete":
        entry |= {key: event.get(key) for key in _RESULTS}
        entry["metrics"] = dict(event["metrics"])
    elif kind in ("fail", "stop"):
        entry["failure"] = event["failure"]
    elif kind == "metric":
        entry["metrics"].setdefault(event["name"], event["value"])
    elif kind == "decide" and not (
        # A rule does not overrule a person, but for a new attempt whose review failed.
        entry["decision"]["by"] == "person"
        and event["by"] == "rule"
        and event["verdict"] != NEEDS_REVIEW
    ):
        entry["decision"] = {key: event[key] for key in ("verdict", "reason", "by", "time")}


def mark_best(entries: Entries) -> None:
    """Set `is_best`: the smallest MAE of its task among complete runs that nothing speaks against.

    Discarded runs and those that need a review do not compete.

    A run of some folds does not compete with one of all: only those with the most test rows do.
    Runs whose test structures the starting weights have presumably seen compete among themselves.
    """
    best: dict[tuple[Any, Any], Entry] = {}
    for entry in entries.values():
        entry["is_best"] = False
        if entry["status"] != "complete" or entry["decision"]["verdict"] in (
            DISCARD,
            NEEDS_REVIEW,
        ):
            continue
        if RANKED_BY not in entry["metrics"]:
            continue
        group = entry["task"], entry["test_presumably_seen"]
        if group not in best or _rank(entry) < _rank(best[group]):
            best[group] = entry
    for entry in best.values():
        entry["is_best"] = True


def _rank(entry: Entry) -> tuple[float, float, str]:
    metrics = entry["metrics"]
    return -float(metrics.get("n", 0)), float(metrics[RANKED_BY]), str(entry["identity"])
