"""Where batches come from: a graph store on the device that computes, or read from its file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.graphs.arrays import ask_for, expect_pieces
from foldwise.graphs.batch import (
    GraphBatch,
    Pieces,
    SkinBatch,
    join_pieces,
    join_skin_pieces,
    ranges,
)
from foldwise.graphs.store import GraphStore

RESIDENT_BYTES_PER_STORED_BYTE = 2  # indices are kept as int64
RELEASE_BYTES = 2**25
"""Read from a memory map before its pages are let go: the system maps up to 16 pages for each."""


class BatchSource(Protocol):
    """Where batches come from.

    Attributes:
        device: Where the batches are.
        sizes: Edges plus angles of every crystal, int64, shape [n]: what its compute and memory
            grow with.
        atoms: Atoms of every crystal, int64, shape [n].
    """

    device: torch.device
    sizes: NDArray[np.int64]
    atoms: NDArray[np.int64]

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order.

        Rows on the host keep a GPU busy: it need not be asked how much there is to gather.
        """
        ...


class SkinSource(BatchSource, Protocol):
    """A source of batches that also knows the graphs at the skin radii."""

    def skin(self, rows: Tensor) -> SkinBatch:
        """Skin graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        ...


def open_batches(
    store: GraphStore, device: torch.device, budget_bytes: int | None = None
) -> SkinSource:
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


def _skin_counts(store: GraphStore) -> NDArray[np.int64]:
    """As `store.core`, at the skin radii."""
    lengths = np.diff(store.offsets, axis=0)
    return np.stack([lengths[:, 1], store.short, lengths[:, 2]], axis=1)


# Column of `offsets` that counts the rows of a flat array.
_ATOM, _EDGE, _ANGLE = range(3)
_COUNTED_BY = {
    "numbers": _ATOM,
    "frac": _ATOM,
    "edge_atoms": _EDGE,
    "edge_length": _EDGE,
    "edge_image": _EDGE,
    "angle_edges": _ANGLE,
    "angle_theta": _ANGLE,
}
_GEOMETRY = ("frac", "edge_image")


class ResidentStore:
    """A store held on the device; batches are gathered there."""

    def __init__(self, store: GraphStore, device: torch.device) -> None:
        self.device = device
        self.sizes = store.core[:, 0] + store.core[:, 2]
        self.atoms = np.diff(store.offsets[:, 0])
        self._store = store
        offsets = torch.from_numpy(store.offsets).to(device)
        self._starts = offsets[:-1]
        self._n_atoms = offsets[1:, 0] - offsets[:-1, 0]
        self._core = torch.from_numpy(store.core).to(device)
        self._arrays = {name: self._held(name) for name in Pieces._fields}

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        at, rows = self._placed(rows)
        n_atoms, core, of_rows = self._n_atoms[rows], self._core[rows], self._store.core[at]
        pieces = Pieces(*self._read(Pieces._fields, rows, core, self._totals(at, of_rows)))
        return join_pieces(pieces, n_atoms, core, int(of_rows[:, 1].sum()))

    def skin(self, rows: Tensor) -> SkinBatch:
        """Skin graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        at, rows = self._placed(rows)
        lattice, counts = self._skin[0][rows], self._skin[1][rows]
        of_rows = self._skin_counts[at]
        totals = self._totals(at, of_rows)
        read = self._read((*Pieces._fields, *_GEOMETRY), rows, counts, totals)
        pieces = Pieces(*read[: -len(_GEOMETRY)])
        geometry = [*read[-len(_GEOMETRY) :], lattice]
        n_short = int(of_rows[:, 1].sum())
        return join_skin_pieces(pieces, self._n_atoms[rows], counts, n_short, geometry)

    @cached_property
    def _skin(self) -> tuple[Tensor, Tensor]:
        """Lattices and counts; with them come the arrays that no other training needs."""
        self._arrays |= {name: self._held(name) for name in _GEOMETRY}
        return self._held("lattice"), torch.from_numpy(self._skin_counts).to(self.device)

    @cached_property
    def _skin_counts(self) -> NDArray[np.int64]:
        return _skin_counts(self._store)

    def _held(self, name: str) -> Tensor:
        """An array on the device; on the host it is never whole."""
        array = self._store.arrays[name]
        first = torch.from_numpy(np.array(array[:1]))
        held = torch.empty((len(array), *first.shape[1:]), dtype=first.dtype, device=self.device)
        step = max(RELEASE_BYTES * len(array) // max(array.nbytes, 1), 1)
        for start in range(0, len(array), step):
            part = np.array(array[start : start + step])
            held[start : start + step].copy_(torch.from_numpy(part))
            self._store.release()
        return held

    def _placed(self, rows: Tensor) -> tuple[NDArray[np.int64], Tensor]:
        """Rows on the host and on the device."""
        return rows.cpu().numpy(), rows.to(self.device, non_blocking=True)

    def _totals(self, at: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[int, int, int]:
        """Atoms, edges and angles of the crystals at `at`, which have `counts`."""
        offsets = self._store.offsets[:, _ATOM]
        n_atoms = int((offsets[at + 1] - offsets[at]).sum())
        return n_atoms, int(counts[:, 0].sum()), int(counts[:, 2].sum())

    def _read(
        self, names: Sequence[str], rows: Tensor, counts: Tensor, totals: tuple[int, int, int]
    ) -> list[Tensor]:
        starts = self._starts[rows]
        sizes = (self._n_atoms[rows], counts[:, 0], counts[:, 2])
        at = [
            ranges(starts[:, column], size, total)
            for column, (size, total) in enumerate(zip(sizes, totals, strict=True))
        ]
        return [self._arrays[name][at[_COUNTED_BY[name]]] for name in names]


class StreamedStore:
    """A store read from its memory map, batch by batch: for stores larger than the device."""

    def __init__(self, store: GraphStore, device: torch.device) -> None:
        self.device = device
        self.sizes = store.core[:, 0] + store.core[:, 2]
        self.atoms = np.diff(store.offsets[:, 0])
        self._store = store
        self._read_bytes = 0
        for array in store.arrays.values():
            expect_pieces(array)

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        at = rows.cpu().numpy()
        core = self._store.core[at]
        pieces = Pieces(*self._read(Pieces._fields, at, core))
        moved = torch.from_numpy(core).to(self.device)
        return join_pieces(pieces, self._n_atoms(at), moved, int(core[:, 1].sum()))

    def skin(self, rows: Tensor) -> SkinBatch:
        """Skin graphs of the crystals at `rows` (int64, [n_crystals]), in that order."""
        at = rows.cpu().numpy()
        counts = self._skin[at]
        pieces = Pieces(*self._read(Pieces._fields, at, counts))
        lattice = torch.from_numpy(np.array(self._store.arrays["lattice"][at])).to(self.device)
        geometry = [*self._read(_GEOMETRY, at, counts), lattice]
        moved = torch.from_numpy(counts).to(self.device)
        return join_skin_pieces(pieces, self._n_atoms(at), moved, int(counts[:, 1].sum()), geometry)

    @cached_property
    def _skin(self) -> NDArray[np.int64]:
        return _skin_counts(self._store)

    def _n_atoms(self, at: NDArray[np.int64]) -> Tensor:
        offsets = self._store.offsets[:, _ATOM]
        return torch.from_numpy(offsets[at + 1] - offsets[at]).to(self.device)

    def _read(
        self, names: Sequence[str], at: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> list[Tensor]:
        starts, atom_ends = self._store.offsets[at].T, self._store.offsets[at + 1, _ATOM]
        ends = (atom_ends, starts[_EDGE] + counts[:, 0], starts[_ANGLE] + counts[:, 2])
        slices = [list(map(slice, *pair)) for pair in zip(starts, ends, strict=True)]
        arrays = self._store.arrays
        for name in names:
            ask_for(arrays[name], slices[_COUNTED_BY[name]])
        read = [
            np.concatenate([arrays[name][part] for part in slices[_COUNTED_BY[name]]])
            for name in names
        ]
        self._read_bytes += sum(piece.nbytes for piece in read)
        if self._read_bytes > RELEASE_BYTES:
            self._store.release()
            self._read_bytes = 0
        return [torch.from_numpy(piece).to(self.device) for piece in read]


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
