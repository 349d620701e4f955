"""What happened to a run, one small file per event. An event is written once and never changed.

`results/runs/{identity}/events/0001_start.json`, `0002_complete.json`, `0003_decide.json`, …: the
registry is computed from these files alone, so it can be thrown away and built again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.common.schemas import SCHEMAS
from foldwise.tracking.record.identity import run_id

Event = dict[str, Any]

SCHEMA_VERSION = 3
SCHEMA = SCHEMAS / "run_event.schema.json"
KINDS = ("start", "complete", "fail", "stop", "artifact", "metric", "decide")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NAME = re.compile(r"^(\d{4,})_([a-z]+)\.json$")


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).strftime(_TIME)


def write_event(folder: Path, kind: str, payload: Mapping[str, Any]) -> Path:
    """Append an event to a run; the caller holds the registry's lock.

    Args:
        folder: The run's folder.
        kind: One of `KINDS`.
        payload: What there is to say.

    Raises:
        FoldwiseError: The event does not follow its schema.
    """
    event = {"schema_version": SCHEMA_VERSION, "kind": kind, "time": now(), **payload}
    if kind == "start":
        event["run_id"] = run_id(event["experiment"], event["time"], event["config_hash"])
    error = best_match(_validator().iter_errors(event))
    if error is not None:
        raise FoldwiseError(
            f"{error.json_path} of a {kind} event: {error.message[:200]}",
            where=str(folder),
            hint=f"See {SCHEMA.name}.",
        )
    numbers = [number for number, _ in _files(folder)]
    path = folder / "events" / f"{max(numbers, default=0) + 1:04d}_{kind}.json"
    write_json(path, event)
    path.chmod(0o444)
    return path


def read_events(folder: Path) -> list[Event]:
    """All events of a run in order, each in the present schema.

    Raises:
        FoldwiseError: A file is damaged, or of a version that this code does not know.
    """
    return [upgraded(read_json(path), str(path)) for _, path in _files(folder)]


def known_events(folder: Path) -> list[Event]:
    """All events of a run that can be read; one line on stderr for each of the others.

    The number of attempts names folders, so a start that cannot be read still counts as one.
    """
    found: list[Event] = []
    for _, path in _files(folder):
        try:
            event = upgraded(read_json(path), str(path))
            error = best_match(_validator().iter_errors(event))
            problem = error and f"{error.json_path}: {error.message[:200]}"
        except FoldwiseError as damaged:
            problem = str(damaged)
        except (AttributeError, KeyError, TypeError, ValueError) as damaged:
            problem = f"not an event ({type(damaged).__name__})"
        if not problem:
            found.append(event)
            continue
        print(f"warning: {path} is left out: {' '.join(problem.split())}", file=sys.stderr)
        if path.name.endswith("_start.json"):
            time = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime(_TIME)
            failure: Event = {
                "kind": "unknown", "reason": "its start event is damaged", "rule": None,
                "outputs": [], "exit_status": None, "host": None, "log": None, "log_tail": [],
            }  # fmt: skip
            found += [{"kind": "start", "time": time},
                      {"kind": "stop", "time": time, "failure": failure}]  # fmt: skip
    return found


def artifacts_of(folder: Path, attempt: int) -> dict[str, Any]:
    """The artifacts of one attempt of a run, by name; attempts count from 1."""
    found: dict[str, Any] = {}
    number = 0
    for event in read_events(folder):
        number += event["kind"] == "start"
        if number == attempt:
            found |= event.get("artifacts", {})
    return found


def start_of(folder: Path, attempt: int) -> Event:
    """The start event of one attempt of a run; attempts count from 1."""
    return [event for event in read_events(folder) if event["kind"] == "start"][attempt - 1]


def upgraded(event: Event, where: str) -> Event:
    """An event in the present schema, whatever version it was written in. The file stays as it is.

    Raises:
        FoldwiseError: It is of a later version than this code.
    """
    found = int(event.get("schema_version", 0))
    if not 1 <= found <= SCHEMA_VERSION:
        raise FoldwiseError(
            f"schema_version {found} is unknown",
            where=where,
            hint=f"This code reads versions 1 to {SCHEMA_VERSION}; update it.",
        )
    for step in range(found, SCHEMA_VERSION):
        event = MIGRATIONS[step](event)
    return event


def _from_first_version(event: Event) -> Event:
    """Version 1 had `timestamp`, and a decision was `decision` with `decision_reason`."""
    renamed = {"timestamp": "time", "decision": "verdict", "decision_reason": "reason"}
    migrated = {renamed.get(key, key): value for key, value in event.items()}
    if event["kind"] == "decide":
        migrated.setdefault("by", "person")
    return {**migrated, "schema_version": 2}


def _from_second_version(event: Event) -> Event:
    """Version 2 had no `run_id` of an attempt, ranked all runs by MAE and kept no checksums."""
    migrated = {**event, "schema_version": 3}
    if event["kind"] == "start":
        migrated["run_id"] = run_id(event["experiment"], event["time"], event["config_hash"])
    elif event["kind"] == "complete":
        migrated["results_id"] = migrated.pop("run_id")
        migrated |= {"ranked_by": "mae_mean", "direction": "min", "artifacts": {}}
    return migrated


MIGRATIONS: dict[int, Callable[[Event], Event]] = {
    1: _from_first_version,
    2: _from_second_version,
}


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(read_json(SCHEMA))


def _files(folder: Path) -> list[tuple[int, Path]]:
    events = folder / "events"
    if not events.is_dir():
        return []
    found = ((_NAME.match(path.name), path) for path in events.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)
