"""Jobs in the queue whose Snakemake is gone: nobody waits for them, and they would write on.

Each call gives its jobs a name that says who it is. The next call in the same folder cancels the
jobs of a call that has ended and waits until they are gone. A training that is cancelled saves its
state first, so that the call that follows goes on there.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from foldwise.cluster.slurm import NoAnswer, QueuedJob, ask, own_jobs
from foldwise.common.errors import FoldwiseError
from foldwise.tracking.calls.process import this_process

PATIENCE = 180.0
"""Seconds in which a cancelled job must be gone: Slurm itself kills it after its KillWait."""
_NAME = re.compile(r"^foldwise-(?P<host>.+)-(?P<pid>\d+)-(?P<begun>\d+)_")


def name_prefix() -> str:
    """Beginning of the names of this call's jobs: host, process, and when that process began."""
    me = this_process()
    host = re.sub(r"[^A-Za-z0-9]", "-", me["host"])[:20]
    return f"foldwise-{host}-{me['pid']}-{round(me['begun'])}"


def cancel_orphans(workdir: Path, say: Callable[[str], None]) -> None:
    """Cancel the jobs of dead calls in this folder, and wait until they are gone.

    Args:
        workdir: Snakemake's working folder.
        say: Takes a line for the user.

    Raises:
        FoldwiseError: Jobs of a call on another machine are queued, jobs cannot be cancelled, or
            the controller does not answer.
    """
    here = str(workdir.resolve())
    try:
        jobs = [job for job in own_jobs() if str(Path(job.workdir).resolve()) == here]
        dead = [job for job in jobs if _has_lost_its_call(job)]
        if not dead:
            return
        numbers = [job.number for job in dead]
        say(
            f"{len(dead)} job(s) of a Snakemake that is gone are in the queue: cancelled "
            f"({', '.join(numbers)}); trainings save their state first"
        )
        ask("scancel", *numbers)
        _wait_for_end(numbers)
    except NoAnswer as error:
        raise FoldwiseError(
            f"Slurm does not answer ({error})", where="queue", hint="Wait for it, then call again."
        ) from error


def _has_lost_its_call(job: QueuedJob) -> bool:
    match = _NAME.match(job.name)
    if match is None:
        return False
    if match["host"] != re.sub(r"[^A-Za-z0-9]", "-", socket.gethostname())[:20]:
        raise FoldwiseError(
            f"job {job.number} of a call on {match['host']} (process {match['pid']}) is queued",
            where=job.workdir,
            hint=f"Call snakemake there; if that call is gone: scancel {job.number}.",
        )
    pid = int(match["pid"])
    if pid == os.getpid():
        return False
    begun = psutil.boot_time() + int(match["begun"])
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return ended or abs(process.create_time() - begun) > 2.0
    except psutil.NoSuchProcess:
        return True


def _running_here() -> set[str]:
    """Numbers of the jobs that run on this machine.

    Slurm calls a job ended while its last processes write their state; where the caller's own
    machine is a node, they would still hold the folder.
    """
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found.add(process.environ().get("SLURM_JOB_ID", ""))
    return found


def _wait_for_end(numbers: Sequence[str]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        left = ({job.number for job in own_jobs()} | _running_here()) & set(numbers)
        if not left:
            return
        time.sleep(1.0)
    raise FoldwiseError(
        f"job(s) {', '.join(sorted(left))} do not end",
        where="queue",
        hint="Look at their node (squeue --me, sinfo -R), then call again.",
    )
