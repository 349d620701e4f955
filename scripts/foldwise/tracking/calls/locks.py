"""Locks that a killed Snakemake left in the working folder.

Snakemake's lock files name files, not processes. So each call writes down who it is before it
locks anything, and a lock is taken away where all who could have written it are known to be dead.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from foldwise.common.files import read_json, write_json
from foldwise.tracking.calls.process import has_ended, this_process
from foldwise.tracking.record.events import now

# Set by the workflow for all of its jobs.
MARK = "FOLDWISE_CALL"
# A file's time comes from the file system's clock, a process's from the kernel's.
CLOCKS = 2.0


@dataclass(frozen=True)
class _Owner:
    """A process that may have written locks.

    Attributes:
        pid: Its number.
        began: Seconds since the epoch.
        ended: Whether it has ended; `None` where this machine cannot know.
        name: How a user finds it.
    """

    pid: int
    began: float
    ended: bool | None
    name: str


def enter(folder: Path) -> list[str]:
    """Take away the locks of calls that are dead, and write down that this call lives.

    To be called before Snakemake locks anything. A folder that cannot be written to is left alone.

    Args:
        folder: Snakemake's own folder, `.snakemake` in the working folder.

    Returns:
        What there is to say of locks: those that went, or who may still hold those that stay.
    """
    calls = folder / "foldwise_calls"
    with suppress(PermissionError), FileLock(_made(calls) / ".lock"):
        me = _here()
        # Process numbers come back, in containers at once.
        mine = calls / f"{me['host']}_{me['pid']}_{me['begun']}.json"
        mine.unlink(missing_ok=True)
        messages = _clear(folder / "locks", calls)
        write_json(mine, {"process": me, "started": now()})
        atexit.register(_leave, mine, os.getpid())
        return messages
    return []


def _leave(path: Path, process: int) -> None:
    if os.getpid() == process:  # not a fork of it
        path.unlink(missing_ok=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _clear(locks: Path, calls: Path) -> list[str]:
    """Remove stale locks, and the records of dead calls once nothing is left to explain by them."""
    records = {path: _recorded(path) for path in calls.glob("*.json")}
    held = sorted(locks.glob("*.lock")) if locks.is_dir() else []
    owners = [*records.values(), *_seen(locks.parent.parent.resolve())] if held else []
    stale = [lock for lock in held if _is_stale(lock.stat().st_mtime, owners)]
    for lock in stale:
        lock.unlink(missing_ok=True)
    kept = [lock for lock in held if lock not in stale]
    if not kept:
        for path, owner in records.items():
            if owner.ended:
                path.unlink(missing_ok=True)
    messages = ["locks of a Snakemake that was killed: taken away"] if stale else []
    living = {owner.pid: owner.name for owner in owners if not owner.ended}
    if kept and living:
        messages.append(
            f"this folder is locked, perhaps by {', '.join(living.values())}. Wait, or end it; "
            "if it no longer lives: snakemake --unlock"
        )
    return messages


def _is_stale(written: float, owners: Iterable[_Owner]) -> bool:
    """Whether a lock has a dead owner, and none that may live."""
    possible = [owner for owner in owners if owner.began <= written + CLOCKS]
    return bool(possible) and all(owner.ended for owner in possible)


def _recorded(path: Path) -> _Owner:
    """The call behind a record; one on another machine may have any clock."""
    record = read_json(path)
    process = record["process"]
    here = _here()
    same_machine = all(process.get(key) == here[key] for key in ("machine", "pid_namespace"))
    ended = has_ended(process) if same_machine else None
    began = datetime.fromisoformat(record["started"]).timestamp()
    name = f"process {process['pid']} on {process['host']}"
    return _Owner(process["pid"], -float("inf") if ended is None else began, ended, name)


def _here() -> dict[str, Any]:
    """Names of this process that tell apart machines, or containers, of the same host name."""
    machine = Path("/etc/machine-id")
    space = Path("/proc/self/ns/pid")
    return {
        **this_process(),
        "machine": machine.read_text(encoding="utf-8").strip() if machine.exists() else None,
        "pid_namespace": str(space.readlink()) if space.is_symlink() else None,
    }


def _seen(workdir: Path) -> list[_Owner]:
    """Living Snakemakes in a folder, and jobs there whose Snakemake is gone: they still write."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    snakemakes, jobs = {}, []
    for process in psutil.process_iter():
        if process.pid in own or not _may_be_in(process, workdir):
            continue
        with suppress(psutil.Error):
            if any(Path(word).name == "snakemake" for word in process.cmdline()):
                snakemakes[process.pid] = process
            elif MARK in process.environ():
                jobs.append(process)
    owners = [
        _Owner(each.pid, each.create_time(), False, _name(each)) for each in snakemakes.values()
    ]
    for job in jobs:
        with suppress(psutil.Error):
            if not any(parent.pid in snakemakes for parent in job.parents()):
                owners.append(_Owner(job.pid, -float("inf"), False, _name(job)))
    return owners


def _may_be_in(process: psutil.Process, workdir: Path) -> bool:
    try:
        return Path(process.cwd()) == workdir
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    words = [word for word in process.cmdline() if not word.startswith("-")][:2]
    return f"process {process.pid} ({' '.join(Path(word).name for word in words)})"
