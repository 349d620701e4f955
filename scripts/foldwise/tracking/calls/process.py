"""Whether a process that once wrote its name down still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """Name of this process that no other one on any machine shares."""
    pid = os.getpid()
    return {"pid": pid, "begun": _begun(pid), "boot_id": _boot_id(), "host": socket.gethostname()}


def has_ended(process: dict[str, Any]) -> bool | None:
    """Whether the process has ended; `None` for one on another machine."""
    if process["host"] != socket.gethostname():
        return None
    if process["boot_id"] != _boot_id():
        return True
    begun = _begun(int(process["pid"]))
    return begun is None or begun != process["begun"]


def _begun(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; `None` for a missing or a dead one."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    # The name of the program, in parentheses, may hold spaces.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
