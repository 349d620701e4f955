"""Batches: the graphs of any set of crystals as one graph, on the device that computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.store import GraphStore

RESIDENT_BYTES_PER_STORED_BYTE = 2  # indices are kept as int64


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


class BatchSource(Protocol):
    """Where batches come from.

    Attributes:
        device: Where the batches are.
        sizes: Edges plus angles of every crystal, int64, shape [n]: what its compute and memory
            grow with.
    """

    device: torch.device
    sizes: NDArray[np.int64]

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        ...


def open_batches(
    store: GraphStore, device: torch.device, budget_bytes: int | None = None
) -> BatchSource:
    """A resident source where the whole store fits into the budget, else a streamed one.

    Args:
        store: The memory-mapped store.
        device: Where the batches are wanted.
        budget_bytes: Device memory that the store may take; by default half of what is free on a
            GPU. On a CPU the memory map is shared by all processes and nothing is copied.
    """
    needed = RESIDENT_BYTES_PER_STORED_BYTE * sum(array.nbytes for array in store.arrays.values())
    if budget_bytes is None:
        if device.type == "cpu":
            return StreamedStore(store, device)
        free, _total = torch.cuda.mem_get_info(device)
        budget_bytes = free // 2
    if needed <= budget_bytes:
        return ResidentStore(store, device)
    return StreamedStore(store, device)


def _ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Positions `starts[k] … starts[k] + counts[k]` one after the other, and their owner `k`."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    before = torch.cumsum(counts, 0) - counts
    ramp = torch.arange(len(owner), device=counts.device)
    return ramp + (starts - before)[owner], owner


class _Pieces(NamedTuple):
    """Rows of a batch as they stand in the store: indices local to their crystal."""

    numbers: Tensor
    edge_atoms: Tensor
    edge_length: Tensor
    angle_edges: Tensor
    angle_theta: Tensor


def _join(pieces: _Pieces, n_atoms: Tensor, core: Tensor) -> GraphBatch:
    """Shift the local indices of the pieces to indices of the batch."""
    first_atom = torch.cumsum(n_atoms, 0) - n_atoms
    first_edge, first_short = (torch.cumsum(core, 0) - core)[:, :2].unbind(1)
    crystals = torch.arange(len(n_atoms), device=n_atoms.device)
    short_edges, _ = _ranges(first_edge, core[:, 1])
    edge_atoms = pieces.edge_atoms.long() + torch.repeat_interleave(first_atom, core[:, 0])[:, None]
    directed = pieces.angle_edges.long()
    bonds = (directed >> 1) + torch.repeat_interleave(first_short, core[:, 2])[:, None]
    return GraphBatch(
        species=pieces.numbers.long() - 1,
        crystal_of_atom=torch.repeat_interleave(crystals, n_atoms),
        n_atoms=n_atoms.float(),
        n_edges=core[:, 0],
        n_angles=core[:, 2],
        edge_first=edge_atoms[:, 0].contiguous(),
        edge_second=edge_atoms[:, 1].contiguous(),
        edge_length=pieces.edge_length,
        short_edges=short_edges,
        angle_left=bonds[:, 0].contiguous(),
        angle_right=bonds[:, 1].contiguous(),
        angle_centre=edge_atoms[short_edges[bonds[:, 0]], directed[:, 0] & 1],
        angle_theta=pieces.angle_theta,
    )


class ResidentStore:
    """A store held on the device; batches are gathered there."""

    def __init__(self, store: GraphStore, device: torch.device) -> None:
        self.device = device
        self.sizes = store.core[:, 0] + store.core[:, 2]
        offsets = torch.from_numpy(store.offsets).to(device)
        self._starts = offsets[:-1]
        self._n_atoms = offsets[1:, 0] - offsets[:-1, 0]
        self._core = torch.from_numpy(store.core).to(device)
        self._arrays = _Pieces(
            *(torch.from_numpy(np.array(store.arrays[name])).to(device) for name in _Pieces._fields)
        )

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        starts, n_atoms, core = self._starts[rows], self._n_atoms[rows], self._core[rows]
        atoms, _ = _ranges(starts[:, 0], n_atoms)
        edges, _ = _ranges(starts[:, 1], core[:, 0])
        angles, _ = _ranges(starts[:, 2], core[:, 2])
        held = self._arrays
        pieces = _Pieces(
            held.numbers[atoms],
            held.edge_atoms[edges],
            held.edge_length[edges],
            held.angle_edges[angles],
            held.angle_theta[angles],
        )
        return _join(pieces, n_atoms, core)


class StreamedStore:
    """A store read from its memory map, batch by batch: for stores larger than the device."""

    def __init__(self, store: GraphStore, device: torch.device) -> None:
        self.device = device
        self.sizes = store.core[:, 0] + store.core[:, 2]
        self._store = store

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        store, at = self._store, rows.cpu().numpy()
        starts, core = store.offsets[at], store.core[at]
        n_atoms = store.offsets[at + 1, 0] - starts[:, 0]
        atoms, edges, angles = (
            [slice(start, start + count) for start, count in zip(first, counts, strict=True)]
            for first, counts in (
                (starts[:, 0], n_atoms),
                (starts[:, 1], core[:, 0]),
                (starts[:, 2], core[:, 2]),
            )
        )
        pieces = _Pieces(
            self._read("numbers", atoms),
            self._read("edge_atoms", edges),
            self._read("edge_length", edges),
            self._read("angle_edges", angles),
            self._read("angle_theta", angles),
        )
        return _join(
            pieces,
            torch.from_numpy(n_atoms).to(self.device),
            torch.from_numpy(core).to(self.device),
        )

    def _read(self, name: str, slices: Sequence[slice]) -> Tensor:
        array = self._store.arrays[name]
        joined = torch.from_numpy(np.concatenate([array[part] for part in slices]))
        return joined.to(self.device)


def cut_by_size(sizes: NDArray[np.int64], budget: int) -> list[slice]:
    """Cut consecutive crystals into parts whose sizes add up to `budget` at most.

    A crystal beyond the budget makes a part of its own.
    """
    parts, start, total = [], 0, 0
    for position, size in enumerate(sizes.tolist()):
        if total + size > budget and position > start:
            parts.append(slice(start, position))
            start, total = position, 0
        total += size
    parts.append(slice(start, len(sizes)))
    return parts
