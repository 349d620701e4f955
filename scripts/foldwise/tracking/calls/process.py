"""Whether a process that once wrote its name down still lives."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import psutil

CLOCK_JITTER = 0.5
"""Seconds by which two readings of one process's start may differ: the system rounds its own."""


def this_process() -> dict[str, Any]:
    """Name of this process that no other one on any machine shares."""
    own = psutil.Process()
    return {
        "pid": own.pid, "begun": _begun(own), "boot_id": _boot_id(), "host": socket.gethostname()
    }  # fmt: skip


def has_ended(process: dict[str, Any]) -> bool | None:
    """Whether the process has ended; `None` for one on another machine."""
    if process["host"] != socket.gethostname():
        return None
    if process["boot_id"] != _boot_id():
        return True
    try:
        holder = psutil.Process(int(process["pid"]))
        dead = holder.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return dead or abs(_begun(holder) - float(process["begun"])) > CLOCK_JITTER
    except psutil.NoSuchProcess:
        return True


def _begun(process: psutil.Process) -> float:
    """Start in seconds since boot, which stays when the clock is set; its time of day does not."""
    return process.create_time() - psutil.boot_time()


def _boot_id() -> str | None:
    """Linux's own name of this boot; psutil knows only its time, which moves with the clock."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
