"""The jobs that a call of Snakemake would run, and how long they would take on this machine."""

from __future__ import annotations

import heapq
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY

_BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)
_KEY = re.compile(r"^    ([\w-]+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class PlannedJob:
    """One job of a dry run.

    Attributes:
        rule: Name of the rule.
        inputs: Its input files.
        outputs: Its output files.
        wildcards: Values of its wildcards.
        priority: A larger one goes first.
        threads: Cores that it takes.
        gpu: Whether it asks for a GPU.
        benchmark: Where Snakemake writes its seconds; empty without.
    """

    rule: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    wildcards: Mapping[str, str]
    priority: int
    threads: int
    gpu: bool
    benchmark: str = ""


def dry_run(arguments: Sequence[str]) -> list[PlannedJob]:
    """Ask Snakemake what it would do.

    Args:
        arguments: Of the call of Snakemake.

    Raises:
        FoldwiseError: Snakemake refuses.
    """
    # The profiles are quiet about rules; here they are what is asked for.
    run = call_snakemake(["--quiet", "host", "--dry-run", *arguments])
    return parse_plan(run.stdout + run.stderr)


def call_snakemake(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Call Snakemake in the repository.

    Raises:
        FoldwiseError: It fails; the message is its own last line.
    """
    command = [sys.executable, "-m", "snakemake", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    if run.returncode:
        lines = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise FoldwiseError(
            (own or lines or ["it says nothing"])[-1],
            where="snakemake",
            hint=f"Try: snakemake {' '.join(arguments)}",
        )
    return run


def parse_plan(text: str) -> list[PlannedJob]:
    """Jobs in the output of a dry run, the target rule `all` left out."""
    jobs = []
    for rule, body in _BLOCK.findall(text):
        values = dict(_KEY.findall(body))
        if rule != "all":
            jobs.append(
                PlannedJob(
                    rule=rule,
                    inputs=frozenset(_listed(values.get("input", ""))),
                    outputs=frozenset(_listed(values.get("output", ""))),
                    wildcards=dict(
                        part.split("=", 1) for part in _listed(values.get("wildcards", ""))
                    ),
                    priority=int(values.get("priority", 0)),
                    threads=int(values.get("threads", 1)),
                    gpu="gpu=1" in values.get("resources", ""),
                    benchmark=values.get("benchmark", ""),
                )
            )
    return jobs


def makespan(jobs: Sequence[PlannedJob], seconds: Sequence[float], cores: int, gpus: int) -> float:
    """Seconds until the last job ends; each begins when its inputs, cores and GPU are free.

    Args:
        jobs: The jobs.
        seconds: How long each takes.
        cores: Cores of the machine.
        gpus: Graphics cards; 0 sets no limit.
    """
    made = {path: number for number, job in enumerate(jobs) for path in job.outputs}
    waiting = {
        number: {made[path] for path in job.inputs if path in made}
        for number, job in enumerate(jobs)
    }
    running: list[tuple[float, int]] = []
    time, free_cores, free_gpus = 0.0, cores, gpus
    while waiting or running:
        ready = sorted(
            (number for number, needs in waiting.items() if not needs),
            key=lambda number: (-jobs[number].priority, number),
        )
        for number in ready:
            threads, gpu = min(jobs[number].threads, cores), int(jobs[number].gpu and gpus > 0)
            if threads <= free_cores and gpu <= free_gpus:
                del waiting[number]
                heapq.heappush(running, (time + seconds[number], number))
                free_cores, free_gpus = free_cores - threads, free_gpus - gpu
        if not running:
            raise ValueError("the jobs wait for each other")
        time, number = heapq.heappop(running)
        free_cores += min(jobs[number].threads, cores)
        free_gpus += int(jobs[number].gpu and gpus > 0)
        for needs in waiting.values():
            needs.discard(number)
    return time


def by_rule(jobs: Sequence[PlannedJob], seconds: Sequence[float]) -> list[tuple[str, int, float]]:
    """Rule, number of jobs and seconds of a typical one, the rule with the most work first."""
    counts = Counter(job.rule for job in jobs)
    times = {
        rule: [time for job, time in zip(jobs, seconds, strict=True) if job.rule == rule]
        for rule in counts
    }
    rows = [(rule, counts[rule], median(times[rule])) for rule in counts]
    return sorted(rows, key=lambda row: (-row[1] * row[2], row[0]))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
