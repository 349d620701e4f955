"""An entry of the registry: what the events of one run add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from foldwise.tracking.record.decision import DISCARD, NEEDS_REVIEW
from foldwise.tracking.record.events import Event

Entry = dict[str, Any]
Entries = dict[str, Entry]

RANKED_BY = "mae_mean"
"""Metric by which a study of crystals ranks its runs; masked-LM runs name their own."""
_FACTS = (
    "run_id", "experiment", "title", "study", "task", "recipe", "seeds", "config_hash",
    "git_commit", "git_branch", "git_dirty", "dirty_hash", "environment_hash", "host", "command",
)  # fmt: skip
_RESULTS = (
    "dataset_sha256", "results_id", "unit", "test_presumably_seen", "results", "ranked_by",
    "direction",
)  # fmt: skip
_ENDS = {"complete": "complete", "fail": "failed", "stop": "stopped"}


def entry_of(identity: str, events: Iterable[Event]) -> Entry:
    """The entry of a run, a function of its events alone.

    The last complete attempt is the run's record, whatever becomes of later ones; only a later
    complete attempt replaces it. `attempts` counts all, `attempt` is the number of the record's,
    and `failure` is that of the last attempt.
    """
    every = attempts_of(identity, events)
    last = every[-1]
    record = next((one for one in reversed(every) if one["status"] == "complete"), last)
    if last["status"] == "running":
        kept = (*_RESULTS, "metrics", "added", "artifact_paths", "attempt")
        entry = last | {key: record[key] for key in kept}
    else:
        entry = record | {"failure": last["failure"]}
    return entry | {"attempts": last["attempts"], "decision": last["decision"]}


def attempts_of(identity: str, events: Iterable[Event]) -> list[Entry]:
    """An entry per attempt, the first one first; at least one, of unknown status if none began."""
    entry: Entry = {
        "identity": identity, "status": "unknown", "attempts": 0, "attempt": 0, "started": None,
        "ended": None, "failure": None, "metrics": {}, "added": [],
        "artifact_paths": {}, "is_best": False,
        "decision": {"verdict": None, "reason": None, "by": None, "time": None},
        **dict.fromkeys(_FACTS), **dict.fromkeys(_RESULTS),
    }  # fmt: skip
    found = [entry]
    for event in events:
        if event["kind"] == "start":
            entry = _begun(entry, event)
            found.append(entry)
        elif event["kind"] == "metric":  # it was added to the record, not to a later attempt
            record = next((one for one in reversed(found) if one["status"] == "complete"), entry)
            record["metrics"].setdefault(event["name"], event["value"])
            record["added"].append(event["name"])
        else:
            _apply(entry, event)
    return found[1:] or found


def _begun(before: Entry, event: Event) -> Entry:
    number = before["attempts"] + 1
    return {
        **before, **{key: event.get(key) for key in _FACTS}, **dict.fromkeys(_RESULTS),
        "status": "running", "started": event["time"], "ended": None, "failure": None,
        "attempts": number, "attempt": number, "metrics": {}, "added": [],
        "artifact_paths": {},
    }  # fmt: skip


def _apply(entry: Entry, event: Event) -> None:
    kind = event["kind"]
    if kind in _ENDS:
        entry |= {"status": _ENDS[kind], "ended": event["time"]}
    if kind == "complete":
        entry |= {key: event.get(key) for key in _RESULTS}
        entry["metrics"] = dict(event["metrics"])
    if kind in ("complete", "artifact"):
        entry["artifact_paths"] |= {name: one["path"] for name, one in event["artifacts"].items()}
    if kind in ("fail", "stop"):
        entry["failure"] = event["failure"]
    elif kind == "decide" and not (
        # A rule does not overrule a person, but for a new attempt whose review failed.
        entry["decision"]["by"] == "person"
        and event["by"] == "rule"
        and event["verdict"] != NEEDS_REVIEW
    ):
        entry["decision"] = {key: event[key] for key in ("verdict", "reason", "by", "time")}


def mark_best(entries: Entries) -> None:
    """Set `is_best`: the best of its task among complete runs that nothing speaks against.

    A run names the metric that it is ranked by, and whether a smaller or a larger one is better.
    Discarded runs and those that need a review do not compete.

    A run of some folds does not compete with one of all: only those with the most test rows do.
    Runs whose test structures the starting weights have presumably seen compete among themselves.
    """
    best: dict[tuple[Any, ...], Entry] = {}
    for entry in entries.values():
        entry["is_best"] = False
        if entry["status"] != "complete" or entry["decision"]["verdict"] in (
            DISCARD,
            NEEDS_REVIEW,
        ):
            continue
        if entry["ranked_by"] not in entry["metrics"]:
            continue
        group = entry["task"], entry["test_presumably_seen"], entry["ranked_by"]
        if group not in best or _rank(entry) < _rank(best[group]):
            best[group] = entry
    for entry in best.values():
        entry["is_best"] = True


def _rank(entry: Entry) -> tuple[float, float, str]:
    return -float(entry["metrics"].get("n", 0)), badness(entry), str(entry["identity"])


def badness(entry: Entry) -> float:
    """The metric that a run is ranked by, turned so that a smaller one is better; else infinite."""
    value = entry["metrics"].get(entry["ranked_by"])
    if value is None:
        return math.inf
    return -float(value) if entry["direction"] == "max" else float(value)
