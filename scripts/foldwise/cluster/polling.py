"""Questions about the state of jobs that outlive a restart of Slurm's controller.

The plugin forgets all of its jobs when five questions in a row fail, and when its controller is
away asks an accounting that may not be there. Its functions are wrapped, by the names that the
pinned version gives them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Answer = tuple[dict[str, str] | None, float | None]
Question = Callable[..., Awaitable[Answer]]

PAUSE = 10.0
"""Seconds between two questions to a controller that does not answer."""
_ERROR = re.compile(r"^error: |exceeded memory limit|No space left on device")
FINAL = {
    "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "TIMEOUT",
}  # fmt: skip


def last_error(folder: Path, job: str) -> str:
    """What the log of a job says last of an error, in brackets; nothing where it says nothing.

    Snakemake shows a job's logs when it fails, but none after an empty one, such as that of a
    program which was ended before it spoke, or that lies on the full disk itself.

    Args:
        folder: Of the logs of this call's jobs.
        job: Slurm's number.
    """
    for path in folder.rglob(f"{job}.log"):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line.strip() for line in lines if _ERROR.search(line)]
        if told:
            return f" ({told[-1][:200]})"
    return ""


def patient(
    question: Question, pause: float = PAUSE, said: Callable[[str], str] = lambda _job: ""
) -> Question:
    """A question about the states of all jobs that is asked until it is answered.

    The log gets one line when answers stop, one when they come back, and one for each job that
    ends otherwise than well, which the registry reads. A job that was pre-empted for good is
    handed to the plugin as failed: by itself it would wait for it for ever.

    Args:
        question: The plugin's.
        pause: Seconds between two questions to a controller that does not answer.
        said: What else there is to say of a job that ended so.
    """
    told: set[str] = set()

    async def ask(command: str, logger: Any) -> Answer:
        answer = await question(command, logger)
        if answer[0] is None:
            logger.warning("Slurm does not answer; its jobs go on, and it is asked again.")
            while answer[0] is None:
                await asyncio.sleep(pause)
                answer = await question(command, logger)
            logger.warning("Slurm answers again.")
        states = dict(answer[0])
        for job, state in states.items():
            word = state.split()[0].rstrip("+")
            if word in FINAL and job not in told:
                told.add(job)
                logger.info(f"Slurm job {job} ended: {word}{said(job)}")
            states[job] = "FAILED" if word == "PREEMPTED" else state
        return states, answer[1]

    return ask


def remembered(question: Callable[[], int | None]) -> Callable[[], int | None]:
    """A question about the cluster's settings that keeps its first answer while none comes."""
    known: list[int] = []

    def ask() -> int | None:
        answer = question()
        if answer is not None:
            known[:] = [answer]
        return known[0] if known else None

    return ask


def steady(kind: type[Any], seconds: int) -> type[Any]:
    """An executor's class that asks for the states of its jobs at a steady rate.

    The plugin asks the more seldom the longer nothing ends, up to every three minutes: a training
    of a minute would wait longer to be noticed than it ran.

    Args:
        kind: The executor's class.
        seconds: Between two questions.
    """
    rate = property(lambda _executor: seconds, lambda _executor, _wished: None)
    return type("Steady", (kind,), {"next_seconds_between_status_checks": rate})
