"""The faults that are injected into a running study, each at a random moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from maintenance.testbed.disk import full_disk
from maintenance.testbed.study import Call, TestStudy

MOST_DELAY = 8.0
"""Seconds from a training's first step to the fault, at most."""
CONTROLLER_AWAY = 20.0
"""Seconds: longer than several polls of the test's profile."""
NO_ROOM = "No space left on device"

Injection = Callable[[TestStudy, Call, random.Random], None]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: What is done to the study.
        inject: Does it.
        options: Options of the call that is to meet it.
        calls_again: Whether a user must call again.
        shows: What the user sees when it happens; empty: nothing.
        kind: What the registry calls the end of the job that it meets; empty: it meets none. Where
            neither is found, the fault has not happened.
        own_disk: Whether the study lies on a small disk of its own.
    """

    name: str
    inject: Injection
    options: tuple[str, ...] = ()
    calls_again: bool = False
    shows: str = ""
    kind: str = ""
    own_disk: bool = False


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
    """The options of the call are the fault, if there is any."""


def _fill_while_it_trains(study: TestStudy, call: Call, chance: random.Random) -> None:
    at_random(study, call, chance)
    _fill(study, call)


def _fill_before_the_folder(study: TestStudy, call: Call, _chance: random.Random) -> None:
    study.wait_until(call, lambda: bool(study.running("write_experiment")), "a folder is written")
    _fill(study, call)


def _fill(study: TestStudy, call: Call) -> None:
    with full_disk(study.results):
        study.wait_until(call, lambda: NO_ROOM in call.said(), "a job finds no room")


# A minute is the least that Slurm limits; it checks every half minute.
_SHORT = (
    "--set-resources", "train_model:runtime=attempt", "train_model:slurm_extra='--signal=URG@20'",
)  # fmt: skip
_LITTLE = ("--set-resources", "train_model:mem_mb=450*attempt*attempt")

FAULTS = (
    Fault("scancel of a training", _cancel, kind="cancelled"),
    Fault(
        "kill -9 of Snakemake, called again at once", _kill_snakemake, calls_again=True,
        shows="ended without a word",
    ),
    Fault("slurmctld restarted during polling", _restart_controller, shows="does not answer"),
    Fault("node drained", _drain),
    Fault("node down", _down, kind="node_failed"),
    Fault("kill -9 of slurmd and its steps", _kill_node, kind="node_failed"),
    Fault("time limit reached", _nothing, options=_SHORT, kind="timeout"),
    Fault("memory limit reached", _nothing, options=_LITTLE, kind="out_of_memory"),
    Fault("disk full during a training", _fill_while_it_trains, shows=NO_ROOM, own_disk=True),
    Fault(
        "disk full during a result folder", _fill_before_the_folder, shows=NO_ROOM, own_disk=True
    ),
    Fault("none, for comparison", _nothing),
)  # fmt: skip
