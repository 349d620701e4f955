"""The flat graph store: every graph of a task in a few memory-mapped arrays with offsets.

A structure is converted once and shared by all folds, seeds and experiments. Layout of the folder:

    atoms.*    numbers, frac           one row per atom
    crystals.* lattice                 one row per crystal
    edges.*    atoms, image, length    one row per undirected edge
    angles.*   edges, theta            one row per angle
    offsets.npy                        [n + 1, 3]: first atom, edge and angle of each crystal
    core.npy                           [n, 3]: edges, short edges and angles inside the cut-offs
    short.npy                          [n]: edges that angles refer to, the skin included
    meta.json, failures.csv            ids, radii, counts, a checksum of all arrays; crystals that
                                       have no graph, and why
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import (
    canonical_sha256,
    file_sha256,
    read_json,
    replaced_folder,
    write_csv,
    write_json,
)
from foldwise.crystals.neighbors import (
    ATOM_CUTOFF,
    ATOM_SKIN_CUTOFF,
    BOND_CUTOFF,
    BOND_SKIN_CUTOFF,
    CrystalArrays,
    CrystalGraphArrays,
)
from foldwise.graphs.arrays import ChainedArray, GrowingArray, let_go

FORMAT_VERSION = 1
_CRYSTAL_ARRAYS = ("numbers", "frac", "lattice")
GRAPH_ARRAYS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "edge_atoms": (np.dtype(np.int32), (2,)),
    "edge_image": (np.dtype(np.int8), (3,)),
    "edge_length": (np.dtype(np.float32), ()),
    "angle_edges": (np.dtype(np.int32), (2,)),
    "angle_theta": (np.dtype(np.float32), ()),
}
_ARRAYS = (*_CRYSTAL_ARRAYS, *GRAPH_ARRAYS)
CONTENT = (
    *(f"{name}.npy" for name in (*_ARRAYS, "offsets", "core", "short")), "meta.json", "failures.csv"
)  # fmt: skip


class StoreFailure(NamedTuple):
    """A row of failures.csv: a crystal that has no graph, and why."""

    id: str
    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class GraphColumns:
    """Graphs of several crystals one after the other, indices local to their crystal.

    Attributes:
        counts: Edges and angles of each crystal, int64, [n, 2].
        core: Edges, short edges and angles inside the model's cut-offs, int64, [n, 3].
        short: Edges inside the bond graph's skin radius, int64, [n].
        arrays: The edge and angle arrays by name.
    """

    counts: NDArray[np.int64]
    core: NDArray[np.int64]
    short: NDArray[np.int64]
    arrays: dict[str, NDArray[np.generic]]

    @classmethod
    def of(cls, graphs: Sequence[CrystalGraphArrays]) -> GraphColumns:
        """Join single graphs."""
        counts = [[len(graph.edge_length), len(graph.angle_theta)] for graph in graphs]
        empty = {name: np.empty((0, *shape), kind) for name, (kind, shape) in GRAPH_ARRAYS.items()}
        return cls(
            counts=np.array(counts, dtype=np.int64).reshape(-1, 2),
            core=np.array([graph.core for graph in graphs], dtype=np.int64).reshape(-1, 3),
            short=np.array([graph.n_short for graph in graphs], dtype=np.int64),
            arrays={
                name: np.concatenate([nothing, *(getattr(graph, name) for graph in graphs)])
                for name, nothing in empty.items()
            },
        )


@dataclass(frozen=True)
class GraphStore:
    """All graphs of one task; arrays are memory-mapped, indices are local to their crystal.

    Attributes:
        ids: Crystal ids, length n.
        offsets: First atom, edge and angle of each crystal, int64, shape [n + 1, 3].
        core: Edges, short edges and angles inside the model's cut-offs, int64, shape [n, 3].
        short: Edges inside the bond graph's skin radius, int64, shape [n].
        arrays: The flat arrays by name; meaning and units: `foldwise.crystals.neighbors`.
    """

    ids: list[str]
    offsets: NDArray[np.int64]
    core: NDArray[np.int64]
    short: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any] | ChainedArray]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> GraphStore:
        """Map a store into memory.

        Raises:
            FoldwiseError: A file is missing, truncated or of another format version.
        """
        path = Path(folder)
        meta = read_json(path / "meta.json")
        if meta.get("format_version") != FORMAT_VERSION:
            raise FoldwiseError(
                f"graph store format {meta.get('format_version')} instead of {FORMAT_VERSION}",
                where=str(path),
                hint="Delete the folder and build the graphs again.",
            )
        try:
            arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
            offsets, core, short = (
                np.load(path / f"{name}.npy") for name in ("offsets", "core", "short")
            )
        except (OSError, ValueError, EOFError) as error:
            raise FoldwiseError(
                f"the graph store is incomplete or truncated ({error})",
                where=str(path),
                hint="Delete the folder and build the graphs again.",
            ) from error
        return cls(ids=meta["ids"], offsets=offsets, core=core, short=short, arrays=arrays)

    def __len__(self) -> int:
        return len(self.ids)

    def release(self) -> None:
        """Let go of the pages read so far; they stay in the system's cache.

        Memory that is mapped counts as a process's own wherever resident memory is counted, as by
        a queue that ends jobs for it.
        """
        for array in self.arrays.values():
            let_go(array)

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Positions of `ids` in the store, int64, shape [len(ids)].

        Raises:
            FoldwiseError: An id is not in the store.
        """
        position = {crystal: row for row, crystal in enumerate(self.ids)}
        absent = [crystal for crystal in ids if crystal not in position]
        if absent:
            raise FoldwiseError(
                f"{len(absent)} id(s) have no graph, the first is {absent[0]!r}",
                where="graph store",
                hint="Build the graphs and the splits from the same dataset.",
            )
        return np.array([position[crystal] for crystal in ids], dtype=np.int64)


class StoreWriter:
    """A store on its way to disk: graphs come part by part, what tells them apart at the end.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays = {
            name: GrowingArray(folder / f"{name}.npy", dtype, row)
            for name, (dtype, row) in GRAPH_ARRAYS.items()
        }
        self._parts: list[GraphColumns] = []

    def append(self, part: GraphColumns) -> None:
        """Add the graphs of the next crystals."""
        for name, array in self._arrays.items():
            array.append(part.arrays[name])
        self._parts.append(replace(part, arrays={}))

    def finish(
        self,
        ids: Sequence[str],
        crystals: Sequence[CrystalArrays],
        failures: Sequence[StoreFailure],
    ) -> None:
        """Write everything else.

        Args:
            ids: Id of every crystal that has a graph.
            crystals: These crystals, in the same order.
            failures: Crystals without a graph.
        """
        for growing in self._arrays.values():
            growing.close()
        parts = self._parts
        atoms = [len(crystal.numbers) for crystal in crystals]
        counts = np.column_stack([atoms, np.concatenate([part.counts for part in parts])])
        offsets = np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(counts, axis=0)])
        arrays = {
            "numbers": np.concatenate([crystal.numbers for crystal in crystals]).astype(np.int32),
            "frac": np.concatenate([crystal.frac for crystal in crystals]).astype(np.float32),
            "lattice": np.stack([crystal.lattice for crystal in crystals]).astype(np.float32),
            "offsets": offsets,
            "core": np.concatenate([part.core for part in parts]),
            "short": np.concatenate([part.short for part in parts]),
        }
        for name, array in arrays.items():
            np.save(self._folder / f"{name}.npy", array)
        table = pd.DataFrame(failures, columns=StoreFailure._fields)
        write_csv(self._folder / "failures.csv", table)
        meta = {
            "format_version": FORMAT_VERSION,
            "atom_cutoff_angstrom": ATOM_CUTOFF,
            "bond_cutoff_angstrom": BOND_CUTOFF,
            "atom_skin_cutoff_angstrom": ATOM_SKIN_CUTOFF,
            "bond_skin_cutoff_angstrom": BOND_SKIN_CUTOFF,
            "n_crystals": len(ids),
            "n_failed": len(failures),
            "n_atoms": int(offsets[-1, 0]),
            "n_undirected_edges": int(offsets[-1, 1]),
            "n_angles": int(offsets[-1, 2]),
            "arrays_sha256": canonical_sha256(
                {path.name: file_sha256(path) for path in self._folder.glob("*.npy")}
            ),
            "ids": list(ids),
        }
        write_json(self._folder / "meta.json", meta)


def write_store(
    folder: Path,
    ids: Sequence[str],
    crystals: Sequence[CrystalArrays],
    graphs: GraphColumns,
    failures: Sequence[StoreFailure],
) -> None:
    """Write a store, all at once; an older one is replaced. Arguments as of `StoreWriter`."""
    with replaced_folder(folder, CONTENT) as staging:
        writer = StoreWriter(staging)
        writer.append(graphs)
        writer.finish(ids, crystals, failures)


def store_sha256(folder: Path) -> str:
    """Identity of a store's content: its metadata hold a checksum of all arrays."""
    return file_sha256(folder / "meta.json")


def join_stores(first: GraphStore, second: GraphStore) -> GraphStore:
    """Both stores as one, the first one's crystals first; nothing of their arrays is copied."""
    return GraphStore(
        ids=[*first.ids, *second.ids],
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        core=np.concatenate([first.core, second.core]),
        short=np.concatenate([first.short, second.short]),
        arrays={
            name: ChainedArray([array, second.arrays[name]]) for name, array in first.arrays.items()
        },
    )
