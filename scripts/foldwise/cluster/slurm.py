"""Slurm's own commands, and what they say."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from foldwise.common.errors import FoldwiseError

PATIENCE = 30
"""Seconds that a command may take; a controller that restarts is away for less."""


class NoAnswer(Exception):  # noqa: N818  a state of the controller
    """Slurm's controller does not answer, or refuses the question; the text is its own."""


def ask(*command: str) -> str:
    """What a command of Slurm prints.

    Raises:
        NoAnswer: It fails, or takes longer than `PATIENCE`.
    """
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"no answer within {PATIENCE} s") from error
    if done.returncode:
        raise NoAnswer(_first_line(done.stderr) or f"exit code {done.returncode}")
    return done.stdout


def check_slurm() -> None:
    """Check that Slurm is here and its controller answers.

    Raises:
        FoldwiseError: One of these is not so.
    """
    absent = [name for name in ("sbatch", "squeue", "scancel", "sinfo") if not shutil.which(name)]
    if absent:
        raise FoldwiseError(
            f"{', '.join(absent)} not found",
            where="Slurm",
            hint="Call snakemake on a login node of the cluster, or leave out "
            "--workflow-profile profiles/slurm.",
        )
    try:
        ask("scontrol", "ping")
    except NoAnswer as error:
        raise FoldwiseError(
            f"the controller does not answer ({error})",
            where="Slurm",
            hint="Wait for it (scontrol ping), then call again, or call on a login node of the "
            "cluster.",
        ) from error


@dataclass(frozen=True)
class Partition:
    """A partition, as `sinfo` tells it.

    Attributes:
        name: Its name.
        is_default: Whether jobs go there that name none.
        minutes: Its time limit; `None` without one.
        nodes: Its kinds of nodes.
    """

    name: str
    is_default: bool
    minutes: int | None
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Node:
    """A kind of node: cores, memory in MB, and its generic resources, such as `gpu:h200:1`."""

    cores: int
    memory_mb: int
    gres: str


def partitions() -> dict[str, Partition]:
    """All partitions by name.

    Raises:
        NoAnswer: The controller does not answer.
    """
    found: dict[str, Partition] = {}
    for line in ask("sinfo", "--noheader", "--format=%P|%l|%c|%m|%G").splitlines():
        name, limit, cores, memory, gres = (part.strip() for part in line.split("|"))
        # A "+" says that nodes of one line differ, and that this is the least.
        node = Node(int(cores.rstrip("+")), int(memory.rstrip("+")), gres.replace("(null)", ""))
        key = name.rstrip("*")
        before = found[key].nodes if key in found else ()
        found[key] = Partition(key, name.endswith("*"), minutes_of(limit), (*before, node))
    return found


def minutes_of(limit: str) -> int | None:
    """Minutes of a time limit as sinfo writes it (`days-hours:minutes:seconds`); `None`: none."""
    if limit in ("infinite", "UNLIMITED", "n/a", ""):
        return None
    days, _, rest = limit.rpartition("-")
    seconds = 0
    for part in rest.split(":"):
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 24 * 60 + seconds // 60


@dataclass(frozen=True)
class QueuedJob:
    """A job of this user that is queued or runs: number, name, working folder."""

    number: str
    name: str
    workdir: str


def own_jobs() -> list[QueuedJob]:
    """Jobs of this user that are queued or run.

    Raises:
        NoAnswer: The controller does not answer.
    """
    lines = ask("squeue", "--me", "--noheader", "--format=%i|%j|%Z").splitlines()
    return [QueuedJob(*line.strip().split("|", 2)) for line in lines]


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else ""
