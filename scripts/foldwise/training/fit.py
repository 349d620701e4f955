"""Train one network, or several of one fold at once, and resume what a kill has interrupted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foldwise.common.lease import Lease
from foldwise.common.progress import ProgressLog
from foldwise.graphs.padding import enclosing, pad, side_by_side
from foldwise.network.acceleration import StackedEnergies
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.devices import is_out_of_memory
from foldwise.training.optimisation import mixed_loss
from foldwise.training.resume import Clock, load_state, save_state
from foldwise.training.stopping import NEAR_TIME_LIMIT, Stopped, StopRequest
from foldwise.training.trainer import Problem, Progress, Trainer


@dataclass(frozen=True)
class FitResult:
    """A trained network, which holds the best averaged weights, and how it came about.

    `passes` counts crystals, copies and views that were fitted, each as often as it was.
    """

    network: FlatCHGNet
    progress: Progress
    early_stopped: bool
    steps: int
    passes: int
    seconds_per_epoch: list[float]
    resumed_from_epoch: int


@dataclass(frozen=True)
class Training:
    """A network, what it is trained on, and where an interrupted training left its state.

    Attributes:
        network: Trained in place.
        problem: What it is trained on.
        state_path: Written after every epoch, and where a signal asks for the end.
        fingerprint: Identity of the work; a state of other work is not read.
        log: Takes the lines of progress.
        lease: The right to write that state.
        outputs: What the whole job will write, for a process that has lost the lease.
    """

    network: FlatCHGNet
    problem: Problem
    state_path: str | os.PathLike[str]
    fingerprint: str
    log: ProgressLog
    lease: Lease | None = None
    outputs: tuple[Path, ...] = ()

    def save(self, trainer: Trainer, cost: dict[str, Any]) -> None:
        """Write the state; a process that has lost the lease waits for the other one instead."""
        state = trainer.state() | cost
        if self.lease is not None:
            self.lease.yield_to_holder(self.outputs, self.log.line)
        save_state(self.state_path, self.fingerprint, state)


def fit(
    trainings: Sequence[Training],
    stacked: StackedEnergies | None = None,
    clock: Clock | None = None,
    stop: StopRequest | None = None,
    after_epoch: Callable[[Trainer], None] | None = None,
) -> list[FitResult]:
    """Train every network in place; after every epoch its state is saved, and where `stop` asks.

    Several networks of one size, on graphs of one store, take their steps at the same time, each
    on its own batch: one pass through stacked weights serves all of them. What becomes of each is
    what it would become alone, up to rounding.

    Args:
        trainings: Without views where there are several.
        stacked: How that pass runs; by default in plain PyTorch.
        clock: Takes up the time of the interrupted processes.
        stop: Asked between two steps.
        after_epoch: Called with every training after each of its epochs; what it raises ends all.

    Raises:
        FoldwiseError: A loss is no longer finite.
        Stopped: `stop` asked for the end, and the states are saved.
    """
    clock, stop = clock or Clock(), stop or StopRequest()
    trainers = [Trainer(training.network, training.problem, training.log) for training in trainings]
    seconds: list[list[float]] = [[] for _ in trainers]
    begun = 0.0
    for training, trainer, spent in zip(trainings, trainers, seconds, strict=True):
        saved = load_state(training.state_path, training.fingerprint)
        if saved is not None:
            trainer.resume(saved)
            spent.extend(saved["seconds_per_epoch"])
            begun = max(begun, saved["seconds_in_epoch"])
            clock.resume(saved["clock"])
    joint = JointStep(stacked or StackedEnergies(), trainers[0].log.line)
    while active := [number for number, trainer in enumerate(trainers) if not trainer.finished]:
        started = time.perf_counter() - begun
        whole = _run_epoch([trainers[number] for number in active], joint, stop)
        begun = 0.0 if whole else time.perf_counter() - started
        for number in active:
            if whole:
                seconds[number].append((time.perf_counter() - started) / len(active))
            cost = {
                "seconds_per_epoch": seconds[number],
                "seconds_in_epoch": begun,
                "clock": clock.read(),
            }
            trainings[number].save(trainers[number], cost)
            if whole and after_epoch is not None:
                after_epoch(trainers[number])
        if stop.signal is not None:
            _say_stopped(trainings, trainers, stop)
            raise Stopped
    return [_result(trainer, spent) for trainer, spent in zip(trainers, seconds, strict=True)]


def _run_epoch(trainers: Sequence[Trainer], joint: JointStep, stop: StopRequest) -> bool:
    """What is left of an epoch of every training, then their validations.

    Returns:
        Whether the epoch is over; not so where a signal asks for the end.
    """
    for step in zip_longest(*(trainer.epoch_batches() for trainer in trainers)):
        working = [pair for pair in zip(trainers, step, strict=True) if pair[1] is not None]
        joint.run([trainer for trainer, _ in working], [picked for _, picked in working])
        if stop.signal is not None:
            return False
    for trainer in trainers:
        trainer.end_epoch()
    return True


def _say_stopped(
    trainings: Sequence[Training], trainers: Sequence[Trainer], stop: StopRequest
) -> None:
    assert stop.signal is not None
    near = stop.signal == NEAR_TIME_LIMIT
    why = "time limit near" if near else f"{stop.signal.name} received"
    for training, trainer in zip(trainings, trainers, strict=True):
        training.log.line(
            f"{why}: state saved at step {trainer.step} of {trainer.total_steps}; "
            "called again, the training goes on there"
        )


class JointStep:
    """One optimiser step of several trainings, in one pass where there is more than one.

    Args:
        energies: That pass.
        report: Takes the line that says that memory does not suffice for it.
    """

    def __init__(self, energies: StackedEnergies, report: Callable[[str], None]) -> None:
        self._energies, self._report = energies, report
        self._together = True

    def run(self, trainers: Sequence[Trainer], picked: Sequence[Tensor]) -> None:
        """Step every training on the samples at its entry of `picked`."""
        if len(trainers) > 1 and self._together:
            try:
                losses = self._gradients(trainers, picked)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            else:
                for trainer, own, loss in zip(trainers, picked, losses, strict=True):
                    trainer.update(own, loss)
                return
            torch.cuda.empty_cache()
            self._together = False
            self._report("out of memory: from here on the seeds take their steps in turn")
        for trainer, own in zip(trainers, picked, strict=True):
            trainer.run_step(own)

    def _gradients(self, trainers: Sequence[Trainer], picked: Sequence[Tensor]) -> list[Tensor]:
        """Every training's gradient of its own mean loss, and these losses."""
        batches = [
            trainer.problem.store.batch(trainer.rows[own])
            for trainer, own in zip(trainers, picked, strict=True)
        ]
        size = enclosing(batches)
        for trainer in trainers:
            trainer.optimiser.zero_grad()
        outputs = self._energies(
            [trainer.network for trainer in trainers],
            side_by_side([pad(batch, size) for batch in batches]),
        )
        losses = [
            mixed_loss(output[: len(own)], *trainer.targets(own), trainer.problem.recipe)
            for trainer, own, output in zip(trainers, picked, outputs, strict=True)
        ]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        return [loss.detach() for loss in losses]


def _result(trainer: Trainer, seconds: list[float]) -> FitResult:
    trainer.keep_best()
    return FitResult(
        network=trainer.network,
        progress=trainer.progress,
        early_stopped=trainer.progress.epoch < trainer.problem.recipe.epochs,
        steps=trainer.step,
        passes=trainer.passes,
        seconds_per_epoch=seconds,
        resumed_from_epoch=trainer.resumed_from_epoch,
    )
