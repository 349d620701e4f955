"""The flat graph store: every graph of a task in a few memory-mapped arrays with offsets.

A structure is converted once and shared by all folds, seeds and experiments. Layout of the folder:

    atoms.*    numbers, frac           one row per atom
    crystals.* lattice                 one row per crystal
    edges.*    atoms, image, length    one row per undirected edge
    angles.*   edges, theta            one row per angle
    offsets.npy                        [n + 1, 3]: first atom, edge and angle of each crystal
    core.npy                           [n, 3]: edges, short edges and angles inside the cut-offs
    short.npy                          [n]: edges that angles refer to, the skin included
    meta.json, failures.csv            ids, radii, counts; crystals that have no graph, and why
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.errors import FoldwiseError
from foldwise.files import read_json, write_csv, write_json
from foldwise.neighbors import (
    ATOM_CUTOFF,
    ATOM_SKIN_CUTOFF,
    BOND_CUTOFF,
    BOND_SKIN_CUTOFF,
    CrystalArrays,
    CrystalGraphArrays,
    GraphError,
    build_graph,
)

FORMAT_VERSION = 1
_CHUNK = 64  # crystals per task of a worker process
_ARRAYS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "numbers": (np.dtype(np.int32), ()),
    "frac": (np.dtype(np.float32), (3,)),
    "lattice": (np.dtype(np.float32), (3, 3)),
    "edge_atoms": (np.dtype(np.int32), (2,)),
    "edge_image": (np.dtype(np.int8), (3,)),
    "edge_length": (np.dtype(np.float32), ()),
    "angle_edges": (np.dtype(np.int32), (2,)),
    "angle_theta": (np.dtype(np.float32), ()),
}


@dataclass(frozen=True)
class GraphStore:
    """All graphs of one task; arrays are memory-mapped, indices are local to their crystal.

    Attributes:
        ids: Crystal ids, length n.
        offsets: First atom, edge and angle of each crystal, int64, shape [n + 1, 3].
        core: Edges, short edges and angles inside the model's cut-offs, int64, shape [n, 3].
        short: Edges inside the bond graph's skin radius, int64, shape [n].
        arrays: The flat arrays by name; see `foldwise.neighbors` for their meaning and units.
    """

    ids: list[str]
    offsets: NDArray[np.int64]
    core: NDArray[np.int64]
    short: NDArray[np.int64]
    arrays: dict[str, NDArray[np.generic]]

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
        except (OSError, ValueError) as error:
            raise FoldwiseError(
                f"the graph store is incomplete or truncated ({error})",
                where=str(path),
                hint="Delete the folder and build the graphs again.",
            ) from error
        return cls(ids=meta["ids"], offsets=offsets, core=core, short=short, arrays=arrays)

    def __len__(self) -> int:
        return len(self.ids)

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


def read_structures(path: str | os.PathLike[str]) -> tuple[list[str], list[CrystalArrays]]:
    """Ids and crystals of a `structures.npz`.

    Raises:
        FoldwiseError: The file is missing, truncated or lacks an array.
    """
    try:
        with np.load(path) as archive:
            ids, lattice, offsets = archive["ids"], archive["lattice"], archive["offsets"]
            numbers, frac = archive["numbers"], archive["frac"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FoldwiseError(
            f"the structure file is missing, truncated or incomplete ({error})",
            where=str(path),
            hint="Delete it and prepare the dataset again.",
        ) from error
    crystals = [
        CrystalArrays(numbers[start:stop], frac[start:stop], lattice[row])
        for row, (start, stop) in enumerate(pairwise(offsets))
    ]
    return [str(crystal) for crystal in ids], crystals


def build_store(
    structures: str | os.PathLike[str], folder: str | os.PathLike[str], workers: int = 1
) -> None:
    """Convert every structure and write the store; a crystal without a graph becomes a failure row.

    The result does not depend on `workers`.

    Raises:
        FoldwiseError: No structure at all has a graph.
    """
    ids, crystals = read_structures(structures)
    good_ids: list[str] = []
    graphs: list[CrystalGraphArrays] = []
    good: list[CrystalArrays] = []
    failures: list[tuple[str, str, str, str]] = []
    for crystal_id, crystal, result in zip(ids, crystals, _convert(crystals, workers), strict=True):
        if isinstance(result, str):
            failures.append((crystal_id, "graphs", "isolated or unreadable graph", result))
        else:
            good_ids.append(crystal_id)
            good.append(crystal)
            graphs.append(result)
    if not graphs:
        raise FoldwiseError(
            f"none of the {len(ids)} structures has a graph",
            where=str(structures),
            hint="Look at the reasons in the dataset's failures.csv.",
        )
    write_store(Path(folder), good_ids, good, graphs, failures)


def _convert_chunk(crystals: list[CrystalArrays]) -> list[CrystalGraphArrays | str]:
    results: list[CrystalGraphArrays | str] = []
    for crystal in crystals:
        try:
            results.append(build_graph(crystal))
        except (GraphError, ValueError) as error:
            results.append(str(error))
    return results


def _convert(crystals: list[CrystalArrays], workers: int) -> Iterator[CrystalGraphArrays | str]:
    chunks = [crystals[start : start + _CHUNK] for start in range(0, len(crystals), _CHUNK)]
    if workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield from _convert_chunk(chunk)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for results in pool.map(_convert_chunk, chunks):
            yield from results


def write_store(
    folder: Path,
    ids: list[str],
    crystals: list[CrystalArrays],
    graphs: list[CrystalGraphArrays],
    failures: list[tuple[str, str, str, str]],
) -> None:
    """Write a store from its graphs, all at once; an older one is replaced.

    Args:
        folder: Folder of the store.
        ids: Id of every crystal.
        crystals: The crystals, in the same order.
        graphs: Their graphs.
        failures: Id, stage, reason and detail of every crystal without a graph.
    """
    columns: dict[str, list[NDArray[np.generic]]] = {
        "numbers": [crystal.numbers for crystal in crystals],
        "frac": [crystal.frac for crystal in crystals],
        "lattice": [crystal.lattice[None] for crystal in crystals],
        "edge_atoms": [graph.edge_atoms for graph in graphs],
        "edge_image": [graph.edge_image for graph in graphs],
        "edge_length": [graph.edge_length for graph in graphs],
        "angle_edges": [graph.angle_edges for graph in graphs],
        "angle_theta": [graph.angle_theta for graph in graphs],
    }
    counts = [
        [len(crystal.numbers), len(graph.edge_length), len(graph.angle_theta)]
        for crystal, graph in zip(crystals, graphs, strict=True)
    ]
    offsets = np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(counts, axis=0)])
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
        "ids": ids,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, (dtype, shape) in _ARRAYS.items():
            joined = np.concatenate(columns[name]).astype(dtype)
            np.save(staging / f"{name}.npy", joined.reshape(-1, *shape))
        np.save(staging / "offsets.npy", offsets)
        np.save(staging / "core.npy", np.array([graph.core for graph in graphs], np.int64))
        np.save(staging / "short.npy", np.array([graph.n_short for graph in graphs], np.int64))
        table = pd.DataFrame(failures, columns=["id", "stage", "reason", "detail"])
        write_csv(staging / "failures.csv", table)
        write_json(staging / "meta.json", meta)
        staging.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def join_stores(first: GraphStore, second: GraphStore) -> GraphStore:
    """Both stores as one, in memory, the first one's crystals first."""
    return GraphStore(
        ids=[*first.ids, *second.ids],
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        core=np.concatenate([first.core, second.core]),
        short=np.concatenate([first.short, second.short]),
        arrays={
            name: np.concatenate([array, second.arrays[name]])
            for name, array in first.arrays.items()
        },
    )
