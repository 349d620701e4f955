"""`runs.yaml`: which configurations are safe to leave alone, on which hardware, with which code.

The registry says what was run; this log, kept in the repository by people, says what is to be
trusted: `stable` (needs no watching), `unstable` (watch its first minutes), `investigating`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_yaml, write_text
from foldwise.tracking.record.entries import Entry
from foldwise.tracking.record.environment import environment
from foldwise.tracking.record.events import now, start_of
from foldwise.tracking.record.registry import Registry

LOG = REPOSITORY / "runs.yaml"
STATUSES = ("stable", "unstable", "investigating")
KEYS = ("id", "config", "status", "git_commit", "date", "env", "notes", "metrics")
HEADER = """\
# The stability log: which runs are safe to leave unwatched. scripts/runs.py stability adds to it,
# scripts/preflight.py reads it before a long run. status: stable | unstable | investigating
"""
_HARDWARE = ("cpu", "gpu")
_METRICS = ("mae_mean", "rmse_mean", "wall_time_sec")


def read_log(path: Path = LOG) -> list[dict[str, Any]]:
    """All entries, oldest first; none where there is no log.

    Raises:
        FoldwiseError: The file is no list of entries with the keys of `KEYS`.
    """
    if not path.exists():
        return []
    entries = read_yaml(path, broken="Write valid YAML.") or []
    for entry in entries if isinstance(entries, list) else [{}]:
        missing = set(KEYS) - set(entry)
        if missing or entry["status"] not in STATUSES:
            problem = f"key {min(missing)!r} is missing" if missing else "unknown status"
            raise FoldwiseError(
                problem, where=str(path), hint=f"Each entry has the keys {', '.join(KEYS)}."
            )
    return list(entries)


def log_entry(registry: Registry, run: Entry, status: str, notes: str) -> dict[str, Any]:
    """An entry of the log for a run of the registry."""
    facts = start_of(registry.folder(run["identity"]), run["attempt"])["environment"]
    return {
        "id": run["identity"],
        "config": f"{run['study'] or 'default'}/{run['experiment']}",
        "status": status,
        "git_commit": (run["git_commit"] or "nogit")[:7],
        "date": now(),
        "env": {
            "server": run["host"],
            "cpu": facts["cpu"],
            "gpu": facts["gpu"],
            "python": facts["python"],
            "torch": facts["packages"]["torch"],
        },
        "notes": notes,
        "metrics": {
            key: run["metrics"][key]
            for key in dict.fromkeys((run["ranked_by"], *_METRICS))
            if key in run["metrics"]
        },
    }


def append_entry(entry: dict[str, Any], path: Path = LOG) -> None:
    """Add an entry at the end of the log."""
    entries = [*read_log(path), entry]
    body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    write_text(path, HEADER + body)


def stability_of(config: str, config_hash: str | None, commit: str | None, path: Path = LOG) -> str:
    """Whether a configuration has been stable on this machine's hardware, as one sentence.

    Args:
        config: `{study}/{experiment}`, the study `default` without a name.
        config_hash: SHA-256 of the resolved config; `None` where it is not known yet.
        commit: The present commit.
        path: The log.
    """
    known = [entry for entry in read_log(path) if entry["config"] == config]
    if not known:
        return f"{config} has never been judged: watch its first five minutes"
    facts = environment()
    here = [
        entry for entry in known if all(entry["env"].get(key) == facts[key] for key in _HARDWARE)
    ]
    if not here:
        where = known[-1]["env"]
        hardware = where.get("gpu") or where.get("cpu")
        return f"{config} was {known[-1]['status']} on {hardware}, never tried on this hardware"
    last = here[-1]
    changes = []
    if config_hash is not None and not str(last["id"]).startswith(config_hash[:8]):
        changes.append("another config")
    if last["git_commit"] != (commit or "nogit")[:7]:
        changes.append(f"another commit ({last['git_commit']})")
    since = (
        f", but with {' and '.join(changes)}"
        if changes
        else f", with this {'config and ' if config_hash else ''}commit"
    )
    notes = f": {last['notes']}" if last["notes"] else ""
    return f"{config} was {last['status']} on this hardware on {last['date'][:10]}{since}{notes}"
