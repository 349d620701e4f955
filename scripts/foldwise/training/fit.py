"""Train a network, resume what a kill has interrupted, and record how it ended."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from foldwise.common.lease import Lease
from foldwise.common.progress import ProgressLog
from foldwise.network.chgnet import FlatCHGNet
from foldwise.study.recipe import Recipe
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
    training: Training,
    clock: Clock | None = None,
    stop: StopRequest | None = None,
    after_epoch: Callable[[Trainer], None] | None = None,
) -> FitResult:
    """Train the network in place; after every epoch its state is saved, and if `stop` asks.

    Args:
        training: The network and what it is trained on.
        clock: Takes up the time of the interrupted processes.
        stop: Asked between two steps.
        after_epoch: Called after each epoch; what it raises ends the training.

    Raises:
        FoldwiseError: The loss is no longer finite.
        Stopped: `stop` asked for the end, and the state is saved.
    """
    clock, stop = clock or Clock(), stop or StopRequest()
    trainer = Trainer(training.network, training.problem, training.log)
    seconds: list[float] = []
    begun = 0.0
    saved = load_state(training.state_path, training.fingerprint)
    if saved is not None:
        trainer.resume(saved)
        seconds.extend(saved["seconds_per_epoch"])
        begun = saved["seconds_in_epoch"]
        clock.resume(saved["clock"])
    while not trainer.finished:
        started = time.perf_counter() - begun
        whole = _run_epoch(trainer, stop)
        spent = time.perf_counter() - started
        begun = 0.0 if whole else spent
        if whole:
            seconds.append(spent)
        cost = {"seconds_per_epoch": seconds, "seconds_in_epoch": begun, "clock": clock.read()}
        training.save(trainer, cost)
        if whole and after_epoch is not None:
            after_epoch(trainer)
        if stop.signal is not None:
            _say_stopped(training, trainer, stop)
            raise Stopped
    return _result(trainer, seconds)


def _run_epoch(trainer: Trainer, stop: StopRequest) -> bool:
    """What is left of an epoch, then its validation.

    Returns:
        Whether the epoch is over, which it is not if a signal asks for the end.
    """
    for picked in trainer.epoch_batches():
        trainer.run_step(picked)
        if stop.signal is not None:
            return False
    trainer.end_epoch()
    return True


def _say_stopped(training: Training, trainer: Trainer, stop: StopRequest) -> None:
    assert stop.signal is not None
    near = stop.signal == NEAR_TIME_LIMIT
    why = "time limit near" if near else f"{stop.signal.name} received"
    training.log.line(
        f"{why}: state saved at step {trainer.step} of {trainer.total_steps}; "
        "called again, the training goes on there"
    )


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


def outcome(result: FitResult, recipe: Recipe) -> dict[str, Any]:
    """How the training ended, and the errors at its best epoch."""
    progress = result.progress
    best = progress.history[progress.best_epoch - 1]
    return {
        "best_epoch": progress.best_epoch,
        "epochs_run": progress.epoch,
        "epochs_max": recipe.epochs,
        "passes": result.passes,
        "early_stopped": result.early_stopped,
        "patience": recipe.patience,
        "stop_reason": "no better epoch within the patience"
        if result.early_stopped
        else "all epochs run",
        "train_mae_at_best": best["train_mae"],
        "val_mae_at_best": best["val_mae"],
        "train_loss_at_best": best["train_loss"],
        "val_mae_last5": [epoch["val_mae"] for epoch in progress.history[-5:]],
    }


def compute(
    result: FitResult,
    device: torch.device,
    *,
    threads: int,
    engine: str,
    precision: str,
    seconds: float,
    cpu_seconds: float,
    pretraining: Mapping[str, float],
) -> dict[str, Any]:
    """What the training cost.

    Args:
        result: The training.
        device: Where it ran.
        threads: CPU threads.
        engine: What ran the network.
        precision: Of matrix products.
        seconds: Wall time of the training, interrupted processes included.
        cpu_seconds: As `seconds`, over all threads.
        pretraining: `wall_time_sec`, `cpu_time_sec` and `passes` of the joint pretraining before
            it; empty without one.
    """
    before = {"wall_time_sec": 0.0, "cpu_time_sec": 0.0, "passes": 0.0, **pretraining}
    on_gpu = device.type == "cuda"
    host_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "device": device.type,
        "gpu_name": torch.cuda.get_device_name(device) if on_gpu else None,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "wall_time_sec": seconds + before["wall_time_sec"],
        "pretraining_time_sec": before["wall_time_sec"],
        "pretraining_passes": int(before["passes"]),
        "cpu_time_sec": cpu_seconds + before["cpu_time_sec"],
        "host_peak_memory_bytes": host_peak,
        "sec_per_epoch": statistics.median(result.seconds_per_epoch or [0.0]),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else host_peak,
        "steps": result.steps,
        "resumed_from_epoch": result.resumed_from_epoch,
    }
