"""The moving parts of one training: steps, epochs, validation, and the state that resumes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import BatchSource
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.devices import LateNumbers
from foldwise.network.memory import PartBudget
from foldwise.network.output import network_output
from foldwise.network.transform import TargetTransform
from foldwise.study.recipe import Recipe
from foldwise.training.augmentation import Augmentation, Targets
from foldwise.training.optimisation import AdamW, MovingAverage, learning_rate, mixed_loss
from foldwise.training.samples import Samples


@dataclass(frozen=True)
class Problem:
    """Everything that a training needs.

    Attributes:
        store: Graphs of the samples and of the hold-out.
        ids: Crystal ids of the store, to name a batch that fails.
        composition: Atomic fractions, shape [n_store, 94].
        samples: Training samples.
        validation_rows: Rows of the hold-out.
        validation_targets: Their targets.
        transform: Fitted to the labelled samples.
        recipe: How to train.
        seed: Seed of the batch order.
        augmentation: Views to fit in place of the crystals, where the recipe says so.
    """

    store: BatchSource
    ids: list[str]
    composition: NDArray[np.float64]
    samples: Samples
    validation_rows: NDArray[np.int64]
    validation_targets: NDArray[np.float64]
    transform: TargetTransform
    recipe: Recipe
    seed: int
    augmentation: Augmentation | None = None


@dataclass
class Progress:
    """What a training has reached after its last full epoch.

    Attributes:
        epoch: Epochs done.
        best_epoch: Epoch of the smallest validation error, from 1.
        best_error: That error: the MAE, of classes the cross-entropy.
        best_state: Averaged weights of that epoch.
        history: One record per epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_error: float = math.inf
    best_state: list[Tensor] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """The moving parts of one training.

    Args:
        network: Trained in place.
        problem: What it is trained on.
        log: Takes a line per epoch and now and then one per step.
    """

    def __init__(self, network: FlatCHGNet, problem: Problem, log: ProgressLog) -> None:
        self.network, self.problem, self.log = network, problem, log
        recipe, device = problem.recipe, problem.store.device
        on_gpu = device.type == "cuda"
        self.optimiser = AdamW(
            network.parameters(),
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            foreach=not on_gpu,
            fused=on_gpu,
        )
        self.average = MovingAverage(network, recipe.ema_decay)
        self.budget = PartBudget(log.line)
        self.progress = Progress()
        self.losses: list[float] = []
        self._unread: tuple[Tensor, LateNumbers] | None = None
        self._first_step = 0
        self._done_of_epoch: list[float] = []
        self.resumed_from_epoch = 0
        self.step = 0
        self.passes = 0
        self.total_steps = steps_per_epoch(problem.samples, recipe) * recipe.epochs
        samples, transform = problem.samples, problem.transform
        composition, atoms = problem.composition[samples.rows], problem.store.atoms[samples.rows]

        def on_device(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(values).to(device)

        self.rows = torch.from_numpy(samples.rows)
        self.hard = on_device(transform.to_network(samples.hard, composition, atoms)).float()
        self.soft = on_device(transform.to_network(samples.soft, composition, atoms)).float()
        self.weights = on_device(samples.weights).float()
        labelled = np.flatnonzero(samples.labelled)
        stride = max(1, len(labelled) // len(problem.validation_rows))
        self.measured = labelled[::stride]

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        progress, recipe = self.progress, self.problem.recipe
        waited = progress.epoch - progress.best_epoch
        return progress.epoch >= recipe.epochs or (progress.epoch > 0 and waited >= recipe.patience)

    def epoch_batches(self) -> list[Tensor]:
        """Positions of the samples of every step left of the next epoch, in its own order."""
        generator = np.random.default_rng([self.problem.seed, 2, self.progress.epoch])
        order = torch.from_numpy(generator.permutation(len(self.rows)))
        self.network.train()
        done, self._done_of_epoch = self._done_of_epoch, []
        self.losses, self._first_step = done, self.step - len(done)
        return list(torch.split(order, self.problem.recipe.batch_size))[len(done) :]

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        return learning_rate(step, self.total_steps, self.problem.recipe)

    def run_step(self, picked: Tensor) -> None:
        """One optimiser step on the samples at `picked`."""
        sizes = self.problem.store.sizes[self.problem.samples.rows[picked.numpy()]]
        loss = self.budget.run(sizes, lambda parts: self.accumulate(picked, parts))
        self.update(picked, loss)

    def update(self, picked: Tensor, loss: Tensor) -> None:
        """Step along the gradient of a batch, which the parameters hold.

        Raises:
            FoldwiseError: The loss or the gradient of the step before is not finite.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.problem.recipe.clip_norm)
        self.optimiser.step()
        self.average.update(self.network)
        self.step += 1
        self.passes += len(picked) * self.problem.recipe.views_per_row
        numbers = LateNumbers(torch.stack([loss, norm]))
        # Reading waits for the device: the last step is read when this one is under way.
        self.read_step()
        self._unread = (picked, numbers)

    def read_step(self) -> None:
        """Log the last step whose numbers were not read yet, if there is one.

        Raises:
            FoldwiseError: Its loss or its gradient is not finite.
        """
        if self._unread is None:
            return
        (picked, numbers), self._unread = self._unread, None
        loss, norm = numbers.read()
        self.losses.append(loss)
        step = self._first_step + len(self.losses)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.report_divergence(step, picked, loss, norm)
        self.log.step(
            step,
            f"epoch {self.progress.epoch + 1}  loss {loss:.5f}  lr {self.rate(step - 1):.2e}",
        )

    def accumulate(self, picked: Tensor, parts: list[slice]) -> Tensor:
        """Gradient of the batch's mean loss, part by part; returns that loss."""
        self.optimiser.zero_grad()
        losses = []
        for part in (picked[at] for at in parts):
            loss = self.loss_of(part) * (len(part) / len(picked))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def loss_of(self, part: Tensor) -> Tensor:
        """Mean loss of the samples at `part`."""
        problem, rows, targets = self.problem, self.rows[part], self.targets(part)
        if problem.augmentation is not None:
            return problem.augmentation.loss(
                self.network, rows, targets, epoch=self.progress.epoch + 1, recipe=problem.recipe
            )
        return mixed_loss(self.network(problem.store.batch(rows)), *targets, problem.recipe)

    def targets(self, part: Tensor) -> Targets:
        """Targets of the samples at `part`, in network units."""
        at = part.to(self.hard.device, non_blocking=True)
        return Targets(self.hard[at], self.soft[at], self.weights[at])

    def report_divergence(self, step: int, picked: Tensor, loss: float, norm: float) -> None:
        """Stop with the step, the batch and the gradient norm."""
        ids = [self.problem.ids[row] for row in self.rows[picked].tolist()]
        raise FoldwiseError(
            f"loss {loss} and gradient norm {norm} at step {step} (crystals {', '.join(ids)})",
            where="training",
            hint="Lower lr, or look at these crystals' targets.",
        )

    def end_epoch(self) -> None:
        """Validate the averaged weights and record the epoch; keep them if they are the best.

        Raises:
            FoldwiseError: The loss or the gradient of the last step is not finite.
        """
        self.read_step()
        problem, progress = self.problem, self.progress
        with self.average.in_place_of(self.network):
            errors = self.errors_of(problem.validation_rows, problem.validation_targets)
            train_errors = self.errors_of(
                problem.samples.rows[self.measured], problem.samples.hard[self.measured]
            )
        progress.epoch += 1
        mae = float(np.abs(errors).mean())
        record = {
            "epoch": progress.epoch,
            "lr": self.rate(self.step - 1),
            "train_loss": float(np.mean(self.losses)),
            "train_mae": float(np.abs(train_errors).mean()),
            "val_mae": mae,
            "val_rmse": float(np.sqrt(np.square(errors).mean())),
        }
        error = mae
        if problem.transform.link == "logit":
            error = record["val_cross_entropy"] = cross_entropy(errors)
        progress.history.append(record)
        if error < progress.best_error:
            progress.best_error, progress.best_epoch = error, progress.epoch
            progress.best_state = [average.clone() for average in self.average.average]
        self.losses = []
        self.log.line(f"epoch {progress.epoch}  validation MAE {mae:.5f}")

    def errors_of(
        self, rows: NDArray[np.int64], targets: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Signed errors of the network in target units."""
        problem = self.problem
        output = network_output(self.network, problem.store, rows)
        composition, atoms = problem.composition[rows], problem.store.atoms[rows]
        return problem.transform.to_target(output, composition, atoms) - targets

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as tensors and plain values.

        Raises:
            FoldwiseError: The loss or the gradient of the last step is not finite.
        """
        self.read_step()
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.average,
            "average_steps": self.average.steps,
            "step": self.step,
            "passes": self.passes,
            "losses": self.losses,
            "progress": dict(vars(self.progress)),
        }

    def resume(self, saved: dict[str, Any]) -> None:
        """Go on from the state of an interrupted training of the same work."""
        self.restore(saved)
        self.resumed_from_epoch = self.progress.epoch
        self.log.resume(self.step)
        steps = f" and {len(self._done_of_epoch)} steps" if self._done_of_epoch else ""
        self.log.line(f"resumed after epoch {self.progress.epoch}{steps}")

    def keep_best(self) -> None:
        """Put the averaged weights of the best epoch into the network."""
        with torch.no_grad():
            best = self.progress.best_state
            for parameter, value in zip(self.network.parameters(), best, strict=True):
                parameter.copy_(value)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        device = self.problem.store.device
        self.average.average = [tensor.to(device) for tensor in state["average"]]
        self.average.steps = state["average_steps"]
        self.step = state["step"]
        self.passes = state["passes"]
        self._done_of_epoch = list(state["losses"])
        self.progress = Progress(**state["progress"])
        self.progress.best_state = [tensor.to(device) for tensor in self.progress.best_state]


def cross_entropy(errors: NDArray[np.float64]) -> float:
    """Mean negative logarithm of the probability of the true class, from probability minus class.

    A probability that is rounded to the wrong class counts as the smallest that is not.
    """
    right = np.maximum(1 - np.abs(errors), np.finfo(np.float64).eps)
    return float(-np.log(right).mean())


def steps_per_epoch(samples: Samples, recipe: Recipe) -> int:
    """Optimiser steps of one pass over the samples."""
    return math.ceil(len(samples.rows) / recipe.batch_size)
