"""Batches filled up to one of few sizes.

What fills a batch up is one more crystal: its edges are as long as the cut-off, where every
envelope is zero, and nothing of it reaches a real crystal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.graphs.batch import GraphBatch

_STEPS_PER_DOUBLING = 4  # sizes grow by 19 %: few shapes, and little waste
_CUT_OFF = 6.0  # Å; no envelope reaches farther


class Size(NamedTuple):
    """Crystals, atoms, edges, short edges and angles of a batch."""

    crystals: int
    atoms: int
    edges: int
    short_edges: int
    angles: int


def size_of(batch: GraphBatch) -> Size:
    """The size of a batch, without a word to the device."""
    counted = (batch.n_atoms, batch.species, batch.edge_length, batch.short_edges)
    crystals, atoms, edges, short_edges = map(len, counted)
    return Size(crystals, atoms, edges, short_edges, len(batch.angle_theta))


class SizeClasses:
    """Sizes in one geometric row: everything in a size grows together, as crystals do.

    Args:
        unit: Mean atoms, edges, short edges and angles of a crystal, [4].
    """

    def __init__(self, unit: NDArray[np.float64]) -> None:
        self._unit = np.concatenate([[1.0], unit])

    def smallest(self, size: Size) -> Size:
        """The smallest size of the row that holds a batch and the crystal that fills it up."""
        counted = self._unit > 0  # crystals without any angle need no room for them
        crystals = float(((np.array(size) + 1)[counted] / self._unit[counted]).max())
        step = math.ceil(_STEPS_PER_DOUBLING * math.log2(crystals) - 1e-9)
        filled = np.ceil(self._unit * 2 ** (step / _STEPS_PER_DOUBLING)).astype(int)
        return Size(*np.maximum(filled, np.array(size) + 1).tolist())


def pad(batch: GraphBatch, size: Size) -> GraphBatch:
    """Fill a batch up to `size`, which must exceed its own in every number."""
    own = size_of(batch)
    missing = Size(*(wanted - given for wanted, given in zip(size, own, strict=True)))
    assert min(missing) > 0, (own, size)
    atom, edge, bond = size.atoms - 1, size.edges - 1, size.short_edges - 1

    def filled(tensor: Tensor, count: int, value: float) -> Tensor:
        return torch.cat([tensor, tensor.new_full((count,), value)])

    def counts(tensor: Tensor, last: int) -> Tensor:
        rest = filled(tensor, missing.crystals, 0)
        rest[-1] = last
        return rest

    return GraphBatch(
        species=filled(batch.species, missing.atoms, 0),
        crystal_of_atom=filled(batch.crystal_of_atom, missing.atoms, size.crystals - 1),
        n_atoms=filled(batch.n_atoms, missing.crystals, 1.0),
        n_edges=counts(batch.n_edges, missing.edges),
        n_angles=counts(batch.n_angles, missing.angles),
        edge_first=filled(batch.edge_first, missing.edges, atom),
        edge_second=filled(batch.edge_second, missing.edges, atom),
        edge_length=filled(batch.edge_length, missing.edges, _CUT_OFF),
        short_edges=filled(batch.short_edges, missing.short_edges, edge),
        angle_left=filled(batch.angle_left, missing.angles, bond),
        angle_right=filled(batch.angle_right, missing.angles, bond),
        angle_centre=filled(batch.angle_centre, missing.angles, atom),
        angle_theta=filled(batch.angle_theta, missing.angles, 0.0),
    )
