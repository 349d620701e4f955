"""Short runs of the real programs on the real data, and what their logs tell of a whole run."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json
from foldwise.common.progress import step_lines
from foldwise.estimate.plan import PlannedJob, call_snakemake

EPOCHS = 3
"""The first epoch warms up; the median of three is a usual one."""
VALIDATION_SHARE = 1.15
"""An epoch with its validation against its steps, if no whole epoch was seen."""
JOINT, JOINT_PROGRAM = "pretrain_model", "scripts/jobs/pretrain_model.py"
_LOOK_AFTER = 0.1  # seconds between two looks at a program


@dataclass(frozen=True)
class Ran:
    """A program that has ended, or was stopped.

    Attributes:
        log: What it wrote to standard error.
        code: Its exit code; negative if it was stopped.
        wall: Its seconds.
        cpu: Seconds of all its threads.
        peak_bytes: Its peak resident memory.
    """

    log: str
    code: int
    wall: float
    cpu: float
    peak_bytes: int

    @property
    def busy(self) -> float:
        """CPU seconds per second: how much of its cores other work left to it."""
        return self.cpu / self.wall


def run_programs(commands: Sequence[Sequence[str]], *, threads: int, limit: float) -> list[Ran]:
    """Run programs side by side, in the repository, and stop those that do not end in time.

    Args:
        commands: Words of each after the interpreter.
        threads: CPU threads of each.
        limit: Seconds.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as scratch:
        logs = [Path(scratch) / str(number) for number in range(len(commands))]
        started = time.monotonic()
        running: dict[int, subprocess.Popen[bytes]] = {}
        for number, words in enumerate(commands):
            with logs[number].open("wb") as log:
                running[number] = subprocess.Popen(
                    [sys.executable, *words], cwd=REPOSITORY, stdout=log, stderr=log,
                    env=environment,
                )  # fmt: skip
        peaks, ended = dict.fromkeys(running, 0), {}
        while running:
            for number, process in list(running.items()):
                peaks[number] = max(peaks[number], peak_bytes(process.pid))
                if time.monotonic() - started > limit:
                    os.kill(process.pid, signal.SIGTERM)  # not terminate(), which reaps it
                done, status, usage = os.wait4(process.pid, os.WNOHANG)
                if done:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    ended[number] = Ran(
                        logs[number].read_text(encoding="utf-8"), process.returncode,
                        time.monotonic() - started, usage.ru_utime + usage.ru_stime,
                        peaks[number] or usage.ru_maxrss * 1024,
                    )  # fmt: skip
                    del running[number]
            time.sleep(_LOOK_AFTER)
    return [ended[number] for number in range(len(commands))]


def peak_bytes(process: int) -> int:
    """Most resident bytes of a running process so far; 0 if the system does not say.

    `ru_maxrss` of an ended program counts the memory of the process that started it too.
    """
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return 0


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
        busy: CPU seconds per second.
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


def try_training(
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
        folders = [Path(scratch) / str(seed) for seed in range(copies)]
        commands = [
            [
                "scripts/jobs/train_model.py", "--targets", files["targets"],
                "--graphs", files["graphs"], "--split", files["split"], "--recipe-name", "trial",
                "--recipe", json.dumps(trial_recipe(recipe)), "--seed", str(seed),
                "--holdout", "0", "--transform", transform, "--threads", str(threads),
                "--out", str(folder),
            ]
            for seed, folder in enumerate(folders)
        ]  # fmt: skip
        ran = run_programs(commands, threads=threads, limit=limit)
        trials = [_measured(*pair) for pair in zip(folders, ran, strict=True)]
    return max(trials, key=lambda trial: trial.seconds_per_epoch)


def _measured(folder: Path, ran: Ran) -> Trial:
    if not (folder / "fit.json").exists():
        return _cut_off(ran, EPOCHS / VALIDATION_SHARE, "train_model.py")
    fit = read_json(folder / "fit.json")
    epoch = float(fit["sec_per_epoch"])
    return Trial(
        steps=int(fit["steps"]),
        seconds_per_step=step_lines(ran.log)[-1].seconds,
        seconds_per_epoch=epoch,
        overhead=max(0.0, ran.wall - EPOCHS * epoch),
        host_bytes=ran.peak_bytes,
        device=str(fit["device"]),
        device_bytes=int(fit["peak_memory_bytes"]) if fit["device"] == "cuda" else None,
        busy=ran.busy,
    )


def try_pretraining(
    job: PlannedJob, jobs: Sequence[PlannedJob], arguments: Sequence[str], limit: float
) -> Trial:
    """Run a joint pretraining for a while; one "epoch" of the result is all of it.

    Its steps are larger than those of the fine-tuning that follows, and not longer in proportion,
    so another training says nothing about them.

    Args:
        job: The joint pretraining.
        jobs: All that is planned: what the job needs of it is made first.
        arguments: Options of Snakemake.
        limit: Seconds after which the trial is stopped.

    Raises:
        FoldwiseError: The program fails, or runs no second step within the limit.
    """
    made = {path for other in jobs for path in other.outputs}
    needed = sorted(one for one in job.inputs & made if not (REPOSITORY / one).exists())
    if needed:
        call_snakemake([*needed, *arguments])
    words = _command(job, arguments)
    with tempfile.TemporaryDirectory() as scratch:
        words[words.index("--out") + 1] = str(Path(scratch) / "out")
        (ran,) = run_programs([words], threads=job.threads, limit=limit)
    return _cut_off(ran, 1, "pretrain_model.py")


def _cut_off(ran: Ran, epochs: float, program: str) -> Trial:
    """What the log of a training tells that was stopped.

    Raises:
        FoldwiseError: There were no two steps.
    """
    steps = step_lines(ran.log)
    if not steps or steps[-1].done < 2:
        raise FoldwiseError(
            f"the trial ran no two steps; its log ends with: {last_line(ran.log)}",
            where=program,
            hint="Fix that, or give it longer with --trial-seconds.",
        )
    done, total, per_step = steps[-1]
    return Trial(
        steps=done,
        seconds_per_step=per_step,
        seconds_per_epoch=per_step * total / epochs,
        overhead=max(0.0, ran.wall - done * per_step),
        host_bytes=ran.peak_bytes,
        device=None,
        device_bytes=None,
        busy=ran.busy,
    )


def last_line(log: str) -> str:
    """The last line of a log, without the word that begins an error."""
    return (log.strip().splitlines() or ["no line"])[-1].removeprefix("error: ")


def _command(job: PlannedJob, arguments: Sequence[str]) -> list[str]:
    """Words of the job's shell command after `python`, without what the shell makes of it."""
    target = min(job.outputs)
    told = call_snakemake([target, "--dry-run", "--printshellcmds", "--quiet", "host", *arguments])
    lines = [
        line
        for line in (told.stdout + told.stderr).splitlines()
        if f"python {JOINT_PROGRAM} " in line
    ]
    if not lines:
        raise FoldwiseError(
            f"no job calls {JOINT_PROGRAM}", where="snakemake --dry-run", hint="Read its output."
        )
    words = shlex.split(lines[0][lines[0].index(JOINT_PROGRAM) :])
    ends = [at for at, word in enumerate(words) if word.startswith("2>") or word == "|"]
    return words[: ends[0]] if ends else words
