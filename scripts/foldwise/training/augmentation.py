"""What a training fits where its recipe augments: views, their labels, their consistency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from foldwise.graphs.batch import GraphBatch
from foldwise.graphs.sources import SkinSource
from foldwise.graphs.views import Strength, Views
from foldwise.network.checkpoint import new_network
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.output import network_output
from foldwise.study.recipe import Recipe
from foldwise.training.optimisation import mixed_loss


class Targets(NamedTuple):
    """Targets of a batch, as `foldwise.training.optimisation.mixed_loss` takes them."""

    hard: Tensor
    soft: Tensor
    weight: Tensor


class EnergyShift:
    """How the pretrained network's energy changes from a crystal to its view.

    Args:
        source: Graphs of the crystals.
        rows: Crystals that are asked about, int64, shape [n].
        scale: eV/atom per unit of the trained network's output.
    """

    def __init__(self, source: SkinSource, rows: NDArray[np.int64], scale: float) -> None:
        self._network = new_network("chgnet", "pretrained").to(source.device).eval()
        asked = np.unique(rows)
        energies = torch.full((len(source.sizes),), torch.nan, dtype=torch.float64)
        energies[torch.from_numpy(asked)] = torch.from_numpy(
            network_output(self._network, source, asked)
        )
        self._relaxed, self._scale = energies.to(source.device), scale

    @torch.no_grad()
    def of(self, view: GraphBatch, rows: Tensor) -> Tensor:
        """Difference in units of the trained network, [n_crystals]."""
        change = self._network(view) - self._relaxed[rows]
        shift: Tensor = (change / self._scale).float()
        return shift


@dataclass(frozen=True)
class Augmentation:
    """Views in place of crystals.

    Attributes:
        views: The views.
        shift: Change of a view's label; `None` leaves labels unchanged.
    """

    views: Views
    shift: EnergyShift | None

    def loss(
        self, network: FlatCHGNet, rows: Tensor, targets: Targets, *, epoch: int, recipe: Recipe
    ) -> Tensor:
        """Mean loss of a batch of views.

        With a consistency weight two views of each crystal are fitted, and the Huber difference
        of their outputs (less what their labels differ by) is added.

        Args:
            network: The network that is trained.
            rows: Crystals of the batch, int64, [n].
            targets: Their targets in network units.
            epoch: From 1; every epoch has its own views.
            recipe: Loss and weight of the consistency.
        """
        outputs = []
        for number in range(2 if recipe.consistency else 1):
            view = self.views.at(epoch, number).batch(rows)
            output: Tensor = network(view)
            # A view's prediction less the shift is a prediction for the crystal itself.
            outputs.append(output if self.shift is None else output - self.shift.of(view, rows))
        loss = torch.stack([mixed_loss(output, *targets, recipe) for output in outputs]).mean()
        if recipe.consistency:
            loss = loss + recipe.consistency * consistency_loss(
                outputs[0], outputs[1], recipe.huber_delta
            )
        return loss


def consistency_loss(first: Tensor, second: Tensor, delta: float) -> Tensor:
    """Mean Huber difference of two views' outputs, both of shape [n]."""
    return functional.huber_loss(first, second, delta=delta)


def make_augmentation(
    recipe: Recipe,
    source: SkinSource,
    ids: Sequence[str],
    *,
    rows: NDArray[np.int64],
    scale: float,
    seed: int,
) -> Augmentation | None:
    """The augmentation that a recipe asks for, `None` without one.

    Args:
        recipe: Strength of the views and handling of labels.
        source: Graphs with their skin.
        ids: Crystal ids of the store.
        rows: Crystals to fit, int64, shape [n].
        scale: Target units per unit of the network; the target's unit is eV/atom where labels are
            shifted.
        seed: Seed of the training.
    """
    if recipe.augment is None:
        return None
    strength = Strength(recipe.augment.displacement, recipe.augment.strain)
    shift = EnergyShift(source, rows, scale) if recipe.labels == "shifted" else None
    return Augmentation(Views(source, ids, strength, seed), shift)
