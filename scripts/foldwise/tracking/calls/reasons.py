"""Why a job failed, in one line that is true: from its exit status, its log, and the kernel."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any

from foldwise.common.errors import EXIT_USER_ERROR
from foldwise.tracking.calls.queue_endings import queue_ending
from foldwise.tracking.calls.snakemake_log import CallLog, Job, exit_statuses, host_of

Failure = dict[str, Any]

TAIL_LINES = 20
# What `foldwise.training.stopping` ends with.
EXIT_TIME_LIMIT = 75
_MEMORY = re.compile(
    r"MemoryError|CUDA out of memory|OutOfMemoryError|Cannot allocate memory|std::bad_alloc|"
    r"Unable to allocate|DefaultCPUAllocator: can't allocate|oom[-_]kill|OUT_OF_MEMORY"
)
_EXCEPTION = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Warning)\b.*)$")


def oom_kills() -> int | None:
    """How often this machine's kernel has ended a process for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    counts = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return counts[0] if counts else None


def job_failure(job: Job, call: CallLog, kills_before: int | None, workdir: Path) -> Failure:
    """The record of a failed job.

    Args:
        job: The job.
        call: The call of Snakemake that ran it.
        kills_before: `oom_kills()` when that call began.
        workdir: Folder that the log's paths start from.
    """
    texts = [_read(workdir / name) for name in job.logs]
    log = next((text for text in texts if text.strip()), "")
    everything = "\n".join([job.message, *texts])
    nested = [status for _, status in exit_statuses(everything)]
    status = job.exit_status if job.exit_status is not None else (nested[-1] if nested else None)
    queue = queue_ending(job.message, everything, call.endings)
    if queue is not None:
        kind, reason = queue
    elif job.exit_status == 0:
        kind, reason = (
            "missing_output",
            f"ended without an error, but did not write {job.outputs[0]}; on a cluster, perhaps "
            "its file system showed it too late (latency-wait)",
        )
    else:
        kind, reason = _explain(status, log, everything, job.message, _new_kills(kills_before))
    return {
        "kind": kind,
        "reason": f"{job.rule}: {reason}",
        "rule": job.rule,
        "outputs": list(job.outputs[:3]),
        "exit_status": status,
        "log": job.logs[0] if job.logs else None,
        "log_tail": tail(log),
        "host": next((host for text in texts if (host := host_of(text))), call.host),
    }


def call_failure(
    kind: str, reason: str, call: CallLog, cut_short: Job | None, workdir: Path
) -> Failure:
    """The record of a run whose own jobs did not fail: Snakemake ended first.

    Args:
        kind: Kind of the end.
        reason: What ended it.
        call: The call of Snakemake.
        cut_short: A job of the run that was running then, if any.
        workdir: Folder that the log's paths start from.
    """
    job = cut_short
    log = "\n".join(_read(workdir / name) for name in job.logs) if job else ""
    return {
        "kind": kind,
        "reason": f"{reason}, while {job.rule} ran" if job else reason,
        "rule": job.rule if job else None,
        "outputs": list(job.outputs[:3]) if job else [],
        "exit_status": None,
        "log": job.logs[0] if job and job.logs else None,
        "log_tail": tail(log),
        "host": call.host or socket.gethostname(),
    }


def tail(text: str) -> list[str]:
    """The last lines of a log, each of at most 300 characters."""
    return [line[:300] for line in text.strip().splitlines()[-TAIL_LINES:]]


def _explain(
    status: int | None, log: str, everything: str, message: str, kills: int
) -> tuple[str, str]:
    """Kind and reason of a failure; the first that fits of an order from certain to vague."""
    lines = [line.strip() for line in log.strip().splitlines()]
    last = lines[-1] if lines else ""
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    signal_number = status - 128 if status is not None and status > 128 else None
    memory = next((line for line in reversed(lines) if _MEMORY.search(line)), message)
    answers = (
        (_MEMORY.search(everything), "out_of_memory", f"out of memory: {memory}"),
        (
            signal_number == signal.SIGKILL and kills > 0,
            "out_of_memory",
            "out of memory: ended by SIGKILL, and the kernel's out-of-memory killer acted "
            f"{kills} time(s) since the start",
        ),
        (
            signal_number == signal.SIGKILL,
            "killed",
            "killed by SIGKILL (kill -9); the kernel reports no lack of memory",
        ),
        (signal_number == signal.SIGINT, "interrupted", "stopped by the user (SIGINT)"),
        (
            status == EXIT_TIME_LIMIT,
            "timeout",
            f"stopped before its time limit, its state is saved: {last}",
        ),
        (signal_number, "killed", f"ended by {_signal_name(signal_number)}"),
        (
            status in (None, EXIT_USER_ERROR) and last.startswith("error: "),
            "error",
            last.removeprefix("error: "),
        ),
        (exceptions, "exception", exceptions[-1] if exceptions else ""),
        (status is not None, "exit_code", f"exit code {status}" + (f": {last}" if last else "")),
        (message, "unknown", message),
    )
    end = f"; its log ends with: {last}" if last else ""
    vague = "unknown", f"ended early, and Snakemake's log has no exit status{end}"
    return next(((kind, reason) for fits, kind, reason in answers if fits), vague)


def _signal_name(number: int | None) -> str:
    if number is None:
        return "no signal"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _new_kills(before: int | None) -> int:
    current = oom_kills()
    return current - before if current is not None and before is not None else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
