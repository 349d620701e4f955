"""What every pre-flight reports: the place of the results, the time of all jobs, doubts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY
from foldwise.common.progress import duration
from foldwise.estimate.plan import PlannedJob, by_rule, makespan

LIGHT_JOB = 3.0
"""Seconds of a job without training if none has been timed: it loads its packages and writes."""
PER_JOB = 0.3
"""Seconds that Snakemake itself takes for a job."""
HEADROOM = 0.8
"""Largest share of the free memory that trainings may take."""
FREE_DISK = 5e9


@dataclass(frozen=True)
class Check:
    """One line of the pre-flight: what was looked at, whether it is in order, what was found."""

    name: str
    ok: bool
    found: str


@dataclass(frozen=True)
class Asked:
    """What is asked for, and on which machine.

    Attributes:
        target: The file that is to be made.
        cores: Cores.
        gpus: Graphics cards; 0 on a machine without.
        max_hours: Longest accepted time.
    """

    target: str
    cores: int
    gpus: int
    max_hours: float


def report(checks: Sequence[Check]) -> str:
    """The checks as text; the last line says whether any needs a look."""
    width = max(len(check.name) for check in checks)
    lines = [
        f"{'ok  ' if one.ok else 'LOOK'} {one.name.ljust(width)}  {one.found}" for one in checks
    ]
    unsure = sum(not check.ok for check in checks)
    return "\n".join([*lines, "ready" if not unsure else f"{unsure} point(s) to look at first"])


def place_checks(root: Path) -> list[Check]:
    """Whether the folder of the results can be written, and whether the disk has room.

    Raises:
        FoldwiseError: Nothing can be written there.
    """
    folder = REPOSITORY / root
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FoldwiseError(
            f"nothing can be written there ({error.strerror})",
            where=str(root),
            hint="Free space or change its permissions.",
        ) from error
    free = shutil.disk_usage(folder).free
    return [
        Check("output", True, f"{root} is writable"),
        Check("disk", free > FREE_DISK, f"{free / 1e9:.1f} GB free"),
    ]


def usual_seconds(root: Path, job: PlannedJob) -> float:
    """Seconds of a job that no trial has timed: as its rule's earlier jobs, or by experience."""
    files = (REPOSITORY / root / "benchmarks" / job.rule).rglob("*.tsv")
    timed = [float(path.read_text(encoding="utf-8").splitlines()[1].split()[0]) for path in files]
    if timed:
        return median(timed) + PER_JOB
    return LIGHT_JOB + PER_JOB if job.rule != "resolve_experiment" else PER_JOB


def expected_time(asked: Asked, jobs: Sequence[PlannedJob], seconds: Sequence[float]) -> Check:
    """The time until the last job ends.

    Raises:
        FoldwiseError: It is longer than accepted.
    """
    if not jobs:
        return Check("ETA", True, "nothing to be done: everything is up to date")
    total = makespan(jobs, seconds, asked.cores, asked.gpus)
    if total > asked.max_hours * 3600:
        raise FoldwiseError(
            f"{asked.target} would take about {duration(total)}, more than {asked.max_hours:g} h",
            where="preflight",
            hint="Run fewer epochs or seeds, take a faster machine, or raise --max-hours.",
        )
    rows = [f"{count} {rule} of {time:.1f} s" for rule, count, time in by_rule(jobs, seconds)]
    return Check("ETA", True, f"at most {duration(total)} for {len(jobs)} jobs: {', '.join(rows)}")
