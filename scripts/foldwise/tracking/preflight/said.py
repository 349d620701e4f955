"""What the pre-flight said, beside what it took: kept per experiment, compared afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json, write_json
from foldwise.tracking.preflight.plan import PlannedJob, makespan

GOAL = 1.5
"""Ratio of said and taken that an experiment should stay within."""


def write_said(
    path: Path, jobs: Sequence[PlannedJob], seconds: Sequence[float], cores: int, gpus: int
) -> None:
    """Keep what was said: each job with its files, and the seconds expected of it."""
    content = {
        "cores": cores,
        "gpus": gpus,
        "jobs": [
            {
                "rule": job.rule, "inputs": sorted(job.inputs), "outputs": sorted(job.outputs),
                "priority": job.priority, "threads": job.threads, "gpu": job.gpu,
                "benchmark": job.benchmark, "seconds": said,
            }
            for job, said in zip(jobs, seconds, strict=True)
        ],
    }  # fmt: skip
    write_json(path, content)


def said_and_taken(root: Path) -> str:
    """A table of all experiments whose pre-flight was kept and whose jobs have run since.

    Both columns are the time until the last job ends, reckoned in the same way from the seconds of
    each job: said, and as Snakemake's benchmark files have them.

    Raises:
        FoldwiseError: There is no such experiment.
    """
    rows = []
    for path in sorted((root / "preflight").glob("*.json")):
        found = _compared(read_json(path))
        if found is not None:
            said, taken, worst = found
            within = "yes" if 1 / GOAL <= said / taken <= GOAL else "no"
            rows.append([path.stem, f"{said:.0f}", f"{taken:.0f}", f"{said / taken:.2f}", within,
                         worst])  # fmt: skip
    if not rows:
        raise FoldwiseError(
            "no experiment has both a pre-flight and benchmarks of all its jobs",
            where=str(root / "preflight"),
            hint="Run scripts/preflight.py for each experiment, then the study.",
        )
    header = ("experiment", "said, s", "taken, s", "said / taken", f"within {GOAL:g}",
              "largest part, said and taken")  # fmt: skip
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _compared(content: dict[str, Any]) -> tuple[float, float, str] | None:
    """Said and taken seconds, and the rule with the most work; `None` where a job has not run."""
    jobs = [
        PlannedJob(
            one["rule"], frozenset(one["inputs"]), frozenset(one["outputs"]), {}, one["priority"],
            one["threads"], one["gpu"], one["benchmark"],
        )
        for one in content["jobs"]
    ]  # fmt: skip
    said = [float(one["seconds"]) for one in content["jobs"]]
    taken = [
        _benchmark(job.benchmark) if job.benchmark else expected
        for job, expected in zip(jobs, said, strict=True)
    ]
    known = [seconds for seconds in taken if seconds is not None]
    if len(known) < len(jobs) or not jobs:
        return None
    sums: dict[str, tuple[float, float]] = {}
    for job, first, second in zip(jobs, said, known, strict=True):
        before = sums.get(job.rule, (0.0, 0.0))
        sums[job.rule] = before[0] + first, before[1] + second
    rule, (first, second) = max(sums.items(), key=lambda item: item[1][1])
    cores, gpus = content["cores"], content["gpus"]
    return (
        makespan(jobs, said, cores, gpus),
        makespan(jobs, known, cores, gpus),
        f"{rule}: {first:.0f} and {second:.0f} s",
    )


def _benchmark(path: str) -> float | None:
    """Seconds of a job, as Snakemake's benchmark file has them."""
    try:
        lines = (REPOSITORY / path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return float(lines[1].split("\t")[0])
