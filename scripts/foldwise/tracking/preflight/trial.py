"""A trial training: the real program on the real data for a few epochs, stopped after a while."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json
from foldwise.common.progress import StepLine, step_lines
from foldwise.tracking.record.environment import ask_driver

EPOCHS = 3
"""The first epoch warms up; the median of three is a usual one."""
VALIDATION_SHARE = 1.15
"""An epoch with its validation against its steps alone, where no whole epoch was seen."""


@dataclass(frozen=True)
class Trial:
    """What a trial training measured.

    Attributes:
        steps: Steps that were run, of all copies' slowest.
        seconds_per_step: Of one step.
        seconds_per_epoch: Of one epoch with its validation.
        overhead: Seconds of a training job outside of its epochs.
        host_bytes: Peak memory of the process.
        device: Where it ran; `None` if it was stopped before it said so.
        device_bytes: Peak memory on the GPU; `None` without one.
        busy: CPU seconds per second: how much of its cores other work left to the trial.
    """

    steps: int
    seconds_per_step: float
    seconds_per_epoch: float
    overhead: float
    host_bytes: int
    device: str | None
    device_bytes: int | None
    busy: float


def trial_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe for the trial: what decides the cost of a step, without teacher and pretraining."""
    kept = {key: value for key, value in recipe.items() if key not in ("teacher", "pretrain")}
    return {**kept, "epochs": EPOCHS, "patience": EPOCHS}


def run_trial(
    recipe: Mapping[str, Any],
    files: Mapping[str, str],
    *,
    transform: str,
    threads: int,
    copies: int,
    limit: float,
) -> Trial:
    """Train as many copies at once as the study would, and measure the slowest of them.

    Args:
        recipe: The recipe's options.
        files: `targets`, `graphs` and `split`, paths from the repository.
        transform: Target transform of the task.
        threads: CPU threads of one training.
        copies: Trainings at once.
        limit: Seconds after which the trial is stopped.

    Raises:
        FoldwiseError: The training fails, or runs no second step within the limit.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / str(copy) for copy in range(copies)]
        started, used = time.monotonic(), cpu_seconds()
        running = [
            _begin(recipe, files, transform, threads=threads, folder=folder, seed=seed)
            for seed, folder in enumerate(folders)
        ]
        for process in running:
            try:
                process.wait(max(0.1, started + limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
        wall = time.monotonic() - started
        busy = (cpu_seconds() - used) / (wall * copies)
        trials = [_measured(folder, wall, busy) for folder in folders]
    return max(trials, key=lambda trial: trial.seconds_per_epoch)


def _begin(
    recipe: Mapping[str, Any],
    files: Mapping[str, str],
    transform: str,
    *,
    threads: int,
    folder: Path,
    seed: int,
) -> subprocess.Popen[bytes]:
    folder.mkdir()
    options = {
        "targets": files["targets"], "graphs": files["graphs"], "split": files["split"],
        "recipe-name": "trial", "recipe": json.dumps(trial_recipe(recipe)), "seed": seed,
        "holdout": 0, "transform": transform, "threads": threads, "out": folder,
    }  # fmt: skip
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "scripts/jobs/train_model.py", *flags],
            cwd=REPOSITORY,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )


def _measured(folder: Path, wall: float, busy: float) -> Trial:
    log = (folder / "log").read_text(encoding="utf-8")
    host = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    if (folder / "fit.json").exists():
        fit = read_json(folder / "fit.json")
        epoch = float(fit["sec_per_epoch"])
        on_gpu = fit["device"] == "cuda"
        return Trial(
            steps=int(fit["steps"]),
            seconds_per_step=step_lines(log)[-1].seconds,
            seconds_per_epoch=epoch,
            overhead=max(0.0, wall - EPOCHS * epoch),
            host_bytes=host,
            device=str(fit["device"]),
            device_bytes=int(fit["peak_memory_bytes"]) if on_gpu else None,
            busy=busy,
        )
    done, total, per_step = last_step(log, "training", "train_model.py")
    return Trial(
        steps=done,
        seconds_per_step=per_step,
        seconds_per_epoch=per_step * total / EPOCHS * VALIDATION_SHARE,
        overhead=max(0.0, wall - done * per_step),
        host_bytes=host,
        device=None,
        device_bytes=None,
        busy=busy,
    )


def last_step(log: str, what: str, program: str) -> StepLine:
    """The last step that a trial's log tells of.

    Raises:
        FoldwiseError: There were no two steps.
    """
    steps = step_lines(log)
    if not steps or steps[-1].done < 2:
        last = (log.strip().splitlines() or ["no line"])[-1]
        raise FoldwiseError(
            f"the trial {what} ran no two steps; its log ends with: {last}",
            where=program,
            hint="Mend that, or give it longer with --trial-seconds.",
        )
    return steps[-1]


def cpu_seconds() -> float:
    """CPU seconds of all programs that this process has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def total_memory(devices: Sequence[str | None]) -> int | None:
    """Bytes of the first graphics card, if one of `devices` is a GPU and its driver tells."""
    if "cuda" not in devices:
        return None
    mebibytes = ask_driver("memory.total")
    return int(mebibytes) * 1024**2 if mebibytes else None
