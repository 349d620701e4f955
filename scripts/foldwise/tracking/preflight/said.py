"""What the pre-flight said, beside what it took: kept per experiment, compared afterwards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json, write_json
from foldwise.tracking.preflight.plan import PlannedJob, makespan

GOAL = 1.5
"""Ratio of said and taken that an experiment should stay within."""
_OFTEN, _SELDOM = 15.0, 30.0
_PLACE = re.compile(r"(<!-- said and taken -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """What was said of one job.

    Attributes:
        seconds: Until it ends.
        cpu_seconds: Of the processor; `None` where no trial has told them.
    """

    seconds: float
    cpu_seconds: float | None = None


def write_said(
    path: Path, jobs: Sequence[PlannedJob], said: Sequence[Said], cores: int, gpus: int
) -> None:
    """Keep what was said: each job with its files, and the seconds expected of it."""
    content = {
        "cores": cores,
        "gpus": gpus,
        "jobs": [
            {
                "rule": job.rule, "inputs": sorted(job.inputs), "outputs": sorted(job.outputs),
                "priority": job.priority, "threads": job.threads, "gpu": job.gpu,
                "benchmark": job.benchmark, "seconds": one.seconds,
                "cpu_seconds": one.cpu_seconds,
            }
            for job, one in zip(jobs, said, strict=True)
        ],
    }  # fmt: skip
    write_json(path, content)


def said_and_taken(roots: Sequence[Path]) -> str:
    """A table of all runs whose pre-flight was kept and whose jobs have run since.

    The time until the last job ends is reckoned in the same way from the seconds of each job: said,
    and as Snakemake's benchmark files have them. Beside it stands the ratio of CPU seconds, of jobs
    that a trial stands for: other work on the machine changes it less.

    Args:
        roots: Folders of results; runs below the first go by their name alone.

    Raises:
        FoldwiseError: There is no such run.
    """
    rows = [
        [f"`{path.stem if root == roots[0] else f'{root.name}/{path.stem}'}`", *cells]
        for root in roots
        for path in sorted((root / "preflight").glob("*.json"))
        if (cells := _cells(read_json(path))) is not None
    ]
    if not rows:
        raise FoldwiseError(
            "no run has both a pre-flight and benchmarks of all its jobs",
            where=", ".join(str(root / "preflight") for root in roots),
            hint="Run scripts/preflight.py for each experiment, then the study.",
        )
    header = ("run", "said, s", "taken, s", "said / taken", "in CPU time",
              "largest part, said and taken")  # fmt: skip
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def with_said_and_taken(page: str, roots: Sequence[Path]) -> str:
    """The page with that table between `<!-- said and taken -->` and `<!-- end -->`.

    Raises:
        FoldwiseError: There is no such run, or the page has no such place.
    """
    if not _PLACE.search(page):
        raise FoldwiseError(
            "there is no place for the table",
            where="page",
            hint="Add <!-- said and taken --> and <!-- end -->, each on a line of its own.",
        )
    table = said_and_taken(roots)
    return _PLACE.sub(lambda match: f"{match[1]}{table}\n{match[2]}", page)


def _cells(content: dict[str, Any]) -> list[str] | None:
    """Cells of a run's row behind its name; `None` where a job has not run."""
    jobs = [
        PlannedJob(
            one["rule"], frozenset(one["inputs"]), frozenset(one["outputs"]), {}, one["priority"],
            one["threads"], one["gpu"], one["benchmark"],
        )
        for one in content["jobs"]
    ]  # fmt: skip
    said = [Said(float(one["seconds"]), one["cpu_seconds"]) for one in content["jobs"]]
    taken = [
        _benchmark(job.benchmark) if job.benchmark else expected
        for job, expected in zip(jobs, said, strict=True)
    ]
    known = [one for one in taken if one is not None]
    if len(known) < len(jobs) or not jobs:
        return None
    totals = [
        makespan(jobs, [one.seconds for one in each], content["cores"], content["gpus"])
        for each in (said, known)
    ]
    return [*(f"{total:.0f}" for total in totals), _marked(totals[0] / totals[1]),
            _cpu_ratio(said, known), _largest(jobs, said, known)]  # fmt: skip


def _marked(ratio: float) -> str:
    """A ratio, with an exclamation mark outside of the goal."""
    return f"{ratio:.2f}" if 1 / GOAL <= ratio <= GOAL else f"{ratio:.2f} (!)"


def _cpu_ratio(said: Sequence[Said], taken: Sequence[Said]) -> str:
    pairs = [
        (first.cpu_seconds, second.cpu_seconds)
        for first, second in zip(said, taken, strict=True)
        if first.cpu_seconds and second.cpu_seconds
    ]
    return _marked(sum(one for one, _ in pairs) / sum(one for _, one in pairs)) if pairs else "–"


def _largest(jobs: Sequence[PlannedJob], said: Sequence[Said], taken: Sequence[Said]) -> str:
    """The rule with the most work, and the seconds of all its jobs."""
    sums: dict[str, tuple[float, float]] = {}
    for job, first, second in zip(jobs, said, taken, strict=True):
        before = sums.get(job.rule, (0.0, 0.0))
        sums[job.rule] = before[0] + first.seconds, before[1] + second.seconds
    rule, (one, other) = max(sums.items(), key=lambda item: item[1][1])
    return f"{rule}: {one:.0f} and {other:.0f} s"


def _benchmark(path: str) -> Said | None:
    """Seconds of a job, as Snakemake's benchmark file has them."""
    try:
        lines = (REPOSITORY / path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    row = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
    seconds = float(row["s"])
    try:
        return Said(seconds, float(row.get("cpu_time", "")) * seconds / last_look(seconds))
    except (ValueError, ZeroDivisionError):  # the job was too short to be looked at
        return Said(seconds)


def last_look(seconds: float) -> float:
    """When Snakemake last looked at the processor in a job of `seconds`.

    Every half second for the first 15 s, then every 30 s (snakemake/benchmark.py): what a job uses
    after that is missing in its file.
    """
    if seconds < _OFTEN:
        return seconds
    return _OFTEN + _SELDOM * ((seconds - _OFTEN) // _SELDOM)
