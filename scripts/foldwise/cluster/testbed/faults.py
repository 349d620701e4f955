"""The faults that are injected into a running study, each at a random moment."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foldwise.cluster.testbed.study import EXPERIMENT, Call, TestStudy

MOST_DELAY = 8.0
"""Seconds from a training's first step to the fault, at most."""
CONTROLLER_AWAY = 20.0
"""Seconds: longer than several polls of the test's profile."""
_MB = 2**20

Injection = Callable[[TestStudy, Call, random.Random], None]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: What is done to the study.
        inject: Does it.
        options: Options of the call that is to meet it.
        calls_again: Whether a user must call again.
    """

    name: str
    inject: Injection
    options: tuple[str, ...] = ()
    calls_again: bool = False


def at_random(
    study: TestStudy, call: Call, chance: random.Random, most: float = MOST_DELAY
) -> tuple[str, str]:
    """Wait for a random moment of a training, at most `most` seconds; its job and node."""
    study.wait_for_steps(call)
    time.sleep(chance.uniform(0, most))
    study.wait_until(call, lambda: bool(study.running("train_model")), "a training runs")
    return study.running("train_model")[0]


def _cancel(study: TestStudy, call: Call, chance: random.Random) -> None:
    job, _ = at_random(study, call, chance)
    study.cluster.ask("scancel", job)


def _drain(study: TestStudy, call: Call, chance: random.Random) -> None:
    _, node = at_random(study, call, chance)
    study.cluster.set_node(node, "drain")


def _down(study: TestStudy, call: Call, chance: random.Random) -> None:
    _, node = at_random(study, call, chance)
    study.cluster.set_node(node, "down")


def _kill_node(study: TestStudy, call: Call, chance: random.Random) -> None:
    _, node = at_random(study, call, chance)
    study.cluster.kill_node(node)


def _kill_snakemake(study: TestStudy, call: Call, chance: random.Random) -> None:
    at_random(study, call, chance)
    call.kill()


def _restart_controller(study: TestStudy, call: Call, chance: random.Random) -> None:
    at_random(study, call, chance)
    study.cluster.stop_controller()
    time.sleep(CONTROLLER_AWAY)
    study.cluster.start_controller()


def _nothing(_study: TestStudy, _call: Call, _chance: random.Random) -> None:
    """The options of the call are the fault."""


def _fill_models(study: TestStudy, call: Call, chance: random.Random) -> None:
    models = study.results / "models"
    with _small_disk(models, megabytes=64):
        at_random(study, call, chance)
        balloon = models / "balloon"
        with contextlib.suppress(OSError), balloon.open("wb") as file:
            while True:
                file.write(bytes(_MB))
                file.flush()
        study.wait_until(call, lambda: "o space left" in call.said(), "the training finds no room")
        balloon.unlink()
        call.wait()
        _save(models)


def _fill_folder(study: TestStudy, call: Call, _chance: random.Random) -> None:
    folder = study.results / EXPERIMENT
    with _small_disk(folder, megabytes=0.06):
        study.wait_until(call, lambda: "o space left" in call.said(), "the folder finds no room")
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        call.wait()
        _save(folder)


def _save(folder: Path) -> None:
    """Keep what a small disk holds, for the comparison after it is gone."""
    subprocess.run(["cp", "-a", f"{folder}/.", f"{folder}.kept"], check=True)


@contextmanager
def _small_disk(folder: Path, *, megabytes: float) -> Iterator[None]:
    """Mount a small tmpfs at a folder; what was saved of it takes its place afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={round(megabytes * 1024)}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        kept = Path(f"{folder}.kept")
        if kept.exists():
            folder.rmdir()
            kept.rename(folder)


# A minute is the least that Slurm limits; it checks every half minute.
_SHORT = (
    "--set-resources", "train_model:runtime=attempt", "train_model:slurm_extra='--signal=URG@20'",
)  # fmt: skip
_LITTLE = ("--set-resources", "train_model:mem_mb=450*attempt*attempt")

FAULTS = (
    Fault("scancel of a training", _cancel),
    Fault("kill -9 of Snakemake, called again at once", _kill_snakemake, calls_again=True),
    Fault("slurmctld restarted during polling", _restart_controller),
    Fault("node drained", _drain),
    Fault("node down", _down),
    Fault("kill -9 of slurmd and its steps", _kill_node),
    Fault("time limit reached", _nothing, options=_SHORT),
    Fault("memory limit reached", _nothing, options=_LITTLE),
    Fault("disk full during a training", _fill_models),
    Fault("disk full during a result folder", _fill_folder),
)
