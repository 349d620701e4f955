"""Batches by gathers: graphs of any set of crystals, assembled on the device that holds them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from foldwise.store import GraphStore


class GraphBatch(NamedTuple):
    """Graphs of several crystals joined into one; indices count through the whole batch.

    Attributes:
        species: Atomic number minus one, int64, [n_atoms].
        crystal_of_atom: int64, [n_atoms].
        n_atoms: Atoms per crystal, float32, [n_crystals].
        n_edges: Edges per crystal, int64, [n_crystals].
        n_angles: Angles per crystal, int64, [n_crystals].
        edge_first: First atom of each undirected edge, int64, [n_edges].
        edge_second: Second atom, int64, [n_edges].
        edge_length: Å, float32, [n_edges].
        short_edges: Edges of the bond graph, int64, [n_short].
        angle_left: Position in `short_edges` of the edge that receives the angle's message, int64,
            [n_angles].
        angle_right: Position in `short_edges` of the other edge, int64, [n_angles].
        angle_centre: Atom that both edges share, int64, [n_angles].
        angle_theta: Radians, float32, [n_angles].
    """

    species: Tensor
    crystal_of_atom: Tensor
    n_atoms: Tensor
    n_edges: Tensor
    n_angles: Tensor
    edge_first: Tensor
    edge_second: Tensor
    edge_length: Tensor
    short_edges: Tensor
    angle_left: Tensor
    angle_right: Tensor
    angle_centre: Tensor
    angle_theta: Tensor


def _ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Positions `starts[k] … starts[k] + counts[k]` one after the other, and their owner `k`."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    before = torch.cumsum(counts, 0) - counts
    ramp = torch.arange(len(owner), device=counts.device)
    return ramp + (starts - before)[owner], owner


class ResidentStore:
    """A graph store held on one device; batches take the edges inside the model's cut-offs.

    Args:
        store: The memory-mapped store.
        device: Where the arrays are kept and the batches assembled.

    Attributes:
        device: As given.
        sizes: Angles plus edges of every crystal, int64, shape [n]: what its compute grows with.
    """

    def __init__(self, store: GraphStore, device: torch.device) -> None:
        self.device = device
        self.sizes = store.core[:, 0] + store.core[:, 2]

        def load(name: str) -> Tensor:
            return torch.from_numpy(np.array(store.arrays[name])).to(device)

        offsets = torch.from_numpy(store.offsets).to(device)
        self._starts = offsets[:-1]
        self._n_atoms = offsets[1:, 0] - offsets[:-1, 0]
        self._core = torch.from_numpy(store.core).to(device)
        self._species = load("numbers").long() - 1
        self._edge_atoms = load("edge_atoms").long()
        self._edge_length = load("edge_length")
        self._angle_edges = load("angle_edges").long()
        self._angle_theta = load("angle_theta")

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        starts, n_atoms, core = self._starts[rows], self._n_atoms[rows], self._core[rows]
        atoms, crystal_of_atom = _ranges(starts[:, 0], n_atoms)
        edges, crystal_of_edge = _ranges(starts[:, 1], core[:, 0])
        angles, crystal_of_angle = _ranges(starts[:, 2], core[:, 2])
        first_atom = torch.cumsum(n_atoms, 0) - n_atoms
        first_edge, first_short = (torch.cumsum(core, 0) - core)[:, :2].unbind(1)
        short_edges, _ = _ranges(first_edge, core[:, 1])
        edge_atoms = self._edge_atoms[edges] + first_atom[crystal_of_edge, None]
        directed = self._angle_edges[angles]
        bonds = (directed >> 1) + first_short[crystal_of_angle, None]
        centre = edge_atoms[short_edges[bonds[:, 0]], directed[:, 0] & 1]
        return GraphBatch(
            species=self._species[atoms],
            crystal_of_atom=crystal_of_atom,
            n_atoms=n_atoms.float(),
            n_edges=core[:, 0],
            n_angles=core[:, 2],
            edge_first=edge_atoms[:, 0].contiguous(),
            edge_second=edge_atoms[:, 1].contiguous(),
            edge_length=self._edge_length[edges],
            short_edges=short_edges,
            angle_left=bonds[:, 0].contiguous(),
            angle_right=bonds[:, 1].contiguous(),
            angle_centre=centre,
            angle_theta=self._angle_theta[angles],
        )
