"""The joint training itself: epochs, validation, early stopping, and the state that resumes it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import BatchSource
from foldwise.network.memory import PartBudget
from foldwise.network.output import BATCH_BUDGET, batches_by_size
from foldwise.study.recipe import Recipe
from foldwise.training.joint.network import MultiTaskNetwork, TaskScale, masked_loss
from foldwise.training.optimisation import AdamW, MovingAverage, learning_rate
from foldwise.training.resume import Clock, load_state, save_state
from foldwise.training.trainer import Progress


@dataclass(frozen=True)
class JointPart:
    """Rows with what the heads are asked for.

    Attributes:
        rows: Positions in the joined store, int64, [n].
        targets: Targets of the heads, NaN where a task has no label, [n, n_tasks].
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.float64]


@dataclass(frozen=True)
class JointProblem:
    """Everything that a joint training needs.

    Attributes:
        source: Graphs of all tasks.
        fitted: Rows to fit.
        held: Rows of the first task's hold-out, which stop the training early.
        tasks: Names of the tasks, the one that the backbone is for first.
        scales: One per task.
        recipe: How to train.
        seed: Seed of the batch order.
    """

    source: BatchSource
    fitted: JointPart
    held: JointPart
    tasks: Sequence[str]
    scales: Sequence[TaskScale]
    recipe: Recipe
    seed: int

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.recipe.pretrain.epochs if self.recipe.pretrain else 0

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass over the rows."""
        return math.ceil(len(self.fitted.rows) / self.recipe.batch_size)


@dataclass
class JointFit:
    """How a joint training came about; the network holds the averaged weights of its best epoch."""

    progress: Progress  # its error is the hold-out MAE of the first task
    seconds_per_epoch: list[float] = field(default_factory=list)
    resumed_from_epoch: int = 0


def fit_jointly(
    network: MultiTaskNetwork,
    problem: JointProblem,
    *,
    state_path: Path,
    fingerprint: str,
    clock: Clock,
    log: ProgressLog,
) -> JointFit:
    """Train in place, and keep the averaged weights of the epoch with the smallest hold-out MAE.

    That MAE is the first task's: the training is for it. After every epoch the state is saved, and
    a second call of the same work goes on from there.

    Args:
        network: Trained in place.
        problem: What it is trained on.
        state_path: Where the state is.
        fingerprint: Identity of the work.
        clock: Takes up the time of interrupted processes.
        log: Takes the lines of progress.

    Raises:
        FoldwiseError: The loss is no longer finite.
    """
    trainer = _JointTrainer(network, problem, log)
    result = JointFit(trainer.progress)
    saved = load_state(state_path, fingerprint)
    if saved is not None:
        trainer.restore(saved)
        result = JointFit(trainer.progress, saved["seconds_per_epoch"], trainer.progress.epoch)
        clock.resume(saved["clock"])
        log.resume(trainer.step)
        log.line(f"resumed after epoch {trainer.progress.epoch}")
    while not trainer.finished:
        started = time.perf_counter()
        trainer.run_epoch()
        result.seconds_per_epoch.append(time.perf_counter() - started)
        cost = {"seconds_per_epoch": result.seconds_per_epoch, "clock": clock.read()}
        save_state(state_path, fingerprint, trainer.state() | cost)
    with torch.no_grad():
        best = trainer.progress.best_state
        for parameter, value in zip(network.parameters(), best, strict=True):
            parameter.copy_(value)
    return result


class _JointTrainer:
    """The moving parts."""

    def __init__(self, network: MultiTaskNetwork, problem: JointProblem, log: ProgressLog) -> None:
        self.network, self.problem, self.log = network, problem, log
        recipe, device = problem.recipe, problem.source.device
        self.optimiser = AdamW(
            network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, foreach=True
        )
        self.average = MovingAverage(network, recipe.ema_decay)
        self.budget = PartBudget(log.line)
        self.progress = Progress()
        self.step = 0
        self.values = torch.from_numpy(problem.fitted.targets).float().to(device)
        self.places = torch.from_numpy(problem.fitted.rows).to(device)
        spread = np.array([scale.spread for scale in problem.scales])
        self.spread = torch.from_numpy(spread).float().to(device)

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        done, patience = self.progress.epoch, self.problem.recipe.patience
        waited = done - self.progress.best_epoch
        return done >= self.problem.epochs or (done > 0 and waited >= patience)

    def run_epoch(self) -> None:
        """One pass over the rows in the epoch's own order, then the validation."""
        problem, recipe, epoch = self.problem, self.problem.recipe, self.progress.epoch
        order = np.random.default_rng([problem.seed, 3, epoch]).permutation(
            len(problem.fitted.rows)
        )
        self.network.train()
        losses = [
            self._run_step(order[start : start + recipe.batch_size])
            for start in range(0, len(order), recipe.batch_size)
        ]
        self._end_epoch(losses)

    def _run_step(self, chosen: NDArray[np.int64]) -> float:
        problem, recipe = self.problem, self.problem.recipe
        rate = learning_rate(self.step, problem.epochs * problem.steps_per_epoch, recipe)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        picked = torch.from_numpy(chosen).to(problem.source.device)
        sizes = problem.source.sizes[problem.fitted.rows[chosen]]
        loss = self.budget.run(sizes, partial(self._accumulate, picked))
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        if not (math.isfinite(loss) and math.isfinite(float(norm))):
            raise FoldwiseError(
                f"loss {loss} at step {self.step + 1}", where="pretraining", hint="Lower lr."
            )
        self.optimiser.step()
        self.average.update(self.network)
        self.step += 1
        self.log.step(self.step, f"epoch {self.progress.epoch + 1}  loss {loss:.5f}  lr {rate:.2e}")
        return loss

    def _accumulate(self, picked: Tensor, parts: list[slice]) -> float:
        self.optimiser.zero_grad()
        loss_sum = 0.0
        for part in (picked[at] for at in parts):
            output = self.network(self.problem.source.batch(self.places[part]))
            share = len(part) / len(picked)
            loss = masked_loss(output, self.values[part], self.spread, self.problem.recipe) * share
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += float(loss.detach())
        return loss_sum

    def _end_epoch(self, losses: Sequence[float]) -> None:
        progress, problem = self.progress, self.problem
        with self.average.in_place_of(self.network):
            errors = np.abs(self._output(problem.held.rows) - problem.held.targets)
        mae = [
            float(np.nanmean(errors[:, at]) * scale.transform.scale)
            if np.isfinite(errors[:, at]).any()
            else math.nan
            for at, scale in enumerate(problem.scales)
        ]
        progress.epoch += 1
        progress.history.append(
            {
                "epoch": progress.epoch,
                "lr": learning_rate(
                    self.step - 1, problem.epochs * problem.steps_per_epoch, problem.recipe
                ),
                "train_loss": float(np.mean(losses)),
                **{f"val_mae_{name}": one for name, one in zip(problem.tasks, mae, strict=True)},
            }
        )
        if mae[0] < progress.best_error:
            progress.best_error, progress.best_epoch = mae[0], progress.epoch
            progress.best_state = [weight.clone() for weight in self.average.average]
        named = ", ".join(f"{name} {one:.5f}" for name, one in zip(problem.tasks, mae, strict=True))
        self.log.line(f"epoch {progress.epoch}  validation MAE: {named}")

    @torch.no_grad()
    def _output(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Output of every head, [n, n_tasks]."""
        source = self.problem.source
        output = np.empty((len(rows), len(self.problem.tasks)))
        self.network.eval()
        for at in batches_by_size(rows, source.sizes, BATCH_BUDGET[source.device.type]):
            batch = source.batch(torch.from_numpy(rows[at]))
            output[at] = self.network(batch).double().cpu().numpy()
        return output

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.average,
            "average_steps": self.average.steps,
            "step": self.step,
            "progress": dict(vars(self.progress)),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        device = self.problem.source.device
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.average = [tensor.to(device) for tensor in state["average"]]
        self.average.steps = state["average_steps"]
        self.step = state["step"]
        self.progress = Progress(**state["progress"])
        self.progress.best_state = [tensor.to(device) for tensor in self.progress.best_state]
