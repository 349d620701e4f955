"""The registry's runs: how each ended, and how far those are that were running just now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foldwise.common.files import flatten, read_json
from foldwise.experiment.inputs.types import Json
from foldwise.site.reading.curves import log_end
from foldwise.tracking.record.registry import Registry

_STEP = re.compile(r"step (\d+)/(\d+)\s.*?ETA ([\d:]+)")


def read_runs(root: Path) -> list[Json]:
    """Every run of the registry, the latest first, each with its flat config and its progress."""
    registry = Registry(root)
    sessions = _sessions(registry)
    entries = sorted(
        registry.entries().values(), key=lambda entry: str(entry["started"]), reverse=True
    )
    return [
        dict(entry)
        | {
            "config": _config(registry.folder(entry["identity"])),
            "progress": progress(sessions.get(entry["identity"]))
            if entry["status"] == "running"
            else None,
        }
        for entry in entries
    ]


def _config(folder: Path) -> Json:
    path = folder / "config.json"
    return flatten(read_json(path)) if path.is_file() else {}


def _sessions(registry: Registry) -> dict[str, Json]:
    """Of every run that a call of Snakemake works on: its jobs, and where their paths start."""
    found: dict[str, Json] = {}
    for path in sorted((registry.runs / ".sessions").glob("*.json")):
        session = read_json(path)
        for run in session["runs"].values():
            found[run["identity"]] = {"jobs": run["jobs"], "workdir": session["workdir"]}
    return found


def progress(session: Mapping[str, Any] | None) -> Json | None:
    """Jobs done of those planned, and the last progress line of each job at work."""
    if session is None:
        return None
    workdir = Path(session["workdir"])
    jobs = session["jobs"]
    open_jobs = [
        job for job in jobs if not all((workdir / output).exists() for output in job["outputs"])
    ]
    working = [line for job in open_jobs if (line := _working(workdir, job)) is not None]
    return {"jobs": len(jobs), "done": len(jobs) - len(open_jobs), "working": working}


def _working(workdir: Path, job: Json) -> Json | None:
    """The last step that a job's log names, with the time left by its own count."""
    for log in job["logs"]:
        for line in reversed(log_end(workdir / log)):
            match = _STEP.search(line)
            if match:
                return {"rule": job["rule"], "step": int(match[1]), "steps": int(match[2]),
                        "eta": match[3]}  # fmt: skip
    return None
