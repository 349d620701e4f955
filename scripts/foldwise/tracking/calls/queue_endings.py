"""How a cluster's queue ended a job, as the registry names it."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Slurm's own states of a job (`man squeue`, JOB STATE CODES).
_ENDINGS = {
    "TIMEOUT": ("timeout", "its time limit was reached"),
    "DEADLINE": ("timeout", "its deadline was reached"),
    "OUT_OF_MEMORY": ("out_of_memory", "it outgrew the memory that it had asked for"),
    "PREEMPTED": ("preempted", "a job of higher priority took its node"),
    "NODE_FAIL": ("node_failed", "its node failed"),
    "BOOT_FAIL": ("node_failed", "its node did not start"),
    "CANCELLED": ("cancelled", "it was cancelled (scancel)"),
}
_JOB = re.compile(r"SLURM-job '(?P<number>[\d_]+)' failed.*?SLURM status is: '(?P<state>\w+)'")
_REFUSED = re.compile(
    r"SLURM sbatch failed\. The error message was '(?:sbatch: error: )?(?P<words>[^\n]*?)'?\.?$"
)
_ENDED = re.compile(r"Slurm job ([\d_]+) ended: (\w+)")
_MEMORY = re.compile(
    r"slurmstepd[^:]*: error:.*(?:exceeded memory limit|oom[-_]kill|Out Of Memory)", re.IGNORECASE
)


def queue_endings(text: str) -> dict[str, str]:
    """Slurm's state of each job that did not end well, by number, from the log of a call."""
    return dict(_ENDED.findall(text))


def queue_ending(message: str, log: str, endings: Mapping[str, str]) -> tuple[str, str] | None:
    """Kind and reason, where the queue ended a job or did not take it; else `None`.

    Args:
        message: What the executor says about the job.
        log: The job's own logs, that of the queue among them.
        endings: See `queue_endings`.
    """
    refused = _REFUSED.search(message)
    if refused:
        return "refused", f"Slurm did not take the job: {refused['words']}"
    job = _JOB.search(message)
    if job is None:
        return None
    state = endings.get(job["number"], job["state"])
    if state in ("CANCELLED", "FAILED") and _MEMORY.search(log):
        state = "OUT_OF_MEMORY"
    if state not in _ENDINGS:
        return None
    kind, words = _ENDINGS[state]
    return kind, f"Slurm job {job['number']}: {words} ({state})"
