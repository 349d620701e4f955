"""Several tasks on one backbone: a head per task, and a loss that masks what has no label."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foldwise.graphs.batch import GraphBatch
from foldwise.network.chgnet import FlatCHGNet, mean_of_atoms
from foldwise.network.transform import TargetTransform
from foldwise.study.recipe import Recipe
from foldwise.training.optimisation import row_loss


class MultiTaskNetwork(nn.Module):
    """A backbone and one head per task; the first task's head is the backbone's own.

    Args:
        backbone: The shared network.
        n_tasks: Number of tasks.
        fresh: Tasks whose head starts from zero output: a pretrained head speaks of energies.
    """

    def __init__(self, backbone: FlatCHGNet, n_tasks: int, fresh: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.others = nn.ModuleList(copy.deepcopy(backbone.readout) for _ in range(n_tasks - 1))
        with torch.no_grad():
            for task in fresh:
                for parameter in list(self.heads[task].parameters())[-2:]:
                    parameter.zero_()

    @property
    def heads(self) -> list[nn.Module]:
        """A head per task."""
        return [self.backbone.readout, *self.others]

    def forward(self, batch: GraphBatch) -> Tensor:
        """Output of every head, a mean over atoms each, [n_crystals, n_tasks]."""
        features = self.backbone.features(batch)
        return torch.stack([mean_of_atoms(head(features), batch) for head in self.heads], dim=1)


@dataclass(frozen=True)
class TaskScale:
    """How a task's labels become targets of its head, and how its errors are weighed.

    Attributes:
        transform: Fitted to the rows that are fitted.
        spread: Standard deviation of what is left to learn, in units of the head's output: errors
            of all tasks are measured in it.
    """

    transform: TargetTransform
    spread: float


def joint_targets(
    labels: NDArray[np.float64], composition: NDArray[np.float64], scales: Sequence[TaskScale]
) -> NDArray[np.float64]:
    """Targets of the heads, NaN where a task has no label.

    Args:
        labels: Intensive labels, [n, n_tasks].
        composition: Atomic fractions, [n, 94].
        scales: One per task.
    """
    each = np.ones(len(labels), dtype=np.int64)
    columns = [
        scale.transform.to_network(labels[:, task], composition, each)
        for task, scale in enumerate(scales)
    ]
    return np.stack(columns, axis=1)


def masked_loss(output: Tensor, target: Tensor, spread: Tensor, recipe: Recipe) -> Tensor:
    """Sum over the tasks of the loss, mean over the crystals; absent labels add nothing.

    Args:
        output: [n, n_tasks].
        target: NaN where absent, [n, n_tasks].
        spread: Unit of each task's errors, [n_tasks].
        recipe: The loss.
    """
    present = ~torch.isnan(target)
    filled = torch.where(present, target, output.detach())
    losses = row_loss(output / spread, filled / spread, recipe)
    return (losses * present).sum() / len(output)
