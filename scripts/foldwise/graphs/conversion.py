"""Every structure of a task to one graph store, in parallel processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from math import prod
from pathlib import Path

import numpy as np

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import replaced_folder
from foldwise.common.workers import worker_pool
from foldwise.crystals.files import read_structures
from foldwise.crystals.neighbors import CrystalArrays, CrystalGraphArrays, GraphError, build_graph
from foldwise.graphs.store import CONTENT, GRAPH_ARRAYS, GraphColumns, StoreFailure, StoreWriter

_CHUNK = 128  # crystals per task of a worker process


@dataclass(frozen=True)
class _Chunk:
    """Graphs of consecutive crystals.

    Attributes:
        reasons: Why a crystal has no graph, or `None`, for every crystal of the chunk.
        columns: Graphs of the others.
    """

    reasons: list[str | None]
    columns: GraphColumns


def build_store(
    structures: str | os.PathLike[str], folder: str | os.PathLike[str], workers: int = 1
) -> list[StoreFailure]:
    """Convert every structure and write the store; a crystal without a graph becomes a failure row.

    The result does not depend on `workers`.

    Returns:
        The crystals without a graph, as they stand in `failures.csv`.

    Raises:
        FoldwiseError: No structure at all has a graph.
    """
    ids, crystals = read_structures(structures)
    with replaced_folder(folder, CONTENT) as staging:
        writer = StoreWriter(staging)
        reasons: list[str | None] = []
        for chunk in _convert(crystals, workers, staging.parent):
            writer.append(chunk.columns)
            reasons += chunk.reasons
        good = [reason is None for reason in reasons]
        if not any(good):
            raise FoldwiseError(
                f"none of the {len(ids)} structures has a graph",
                where=str(structures),
                hint="Look at the reasons in the dataset's failures.csv.",
            )
        failures = [
            StoreFailure(crystal, "graphs", "isolated or unreadable graph", reason)
            for crystal, reason in zip(ids, reasons, strict=True)
            if reason is not None
        ]
        writer.finish(list(compress(ids, good)), list(compress(crystals, good)), failures)
    return failures


def failure_warning(failures: Sequence[StoreFailure]) -> str | None:
    """What to say before anything is trained; `None` where every crystal has a graph.

    Args:
        failures: Crystals of the task that have no graph.
    """
    if not failures:
        return None
    first = failures[0]
    what = "crystal has" if len(failures) == 1 else "crystals have"
    return (
        f"warning: {len(failures):,} {what} no graph, the first is {first.id} ({first.detail}). "
        "They are not trained on; as test rows they get a fallback answer, the linear element "
        "reference, and are counted apart."
    )


def _convert_chunk(crystals: Sequence[CrystalArrays]) -> _Chunk:
    graphs: list[CrystalGraphArrays] = []
    reasons: list[str | None] = []
    for crystal in crystals:
        try:
            graphs.append(build_graph(crystal))
            reasons.append(None)
        except (GraphError, ValueError) as error:
            reasons.append(str(error))
    return _Chunk(reasons, GraphColumns.of(graphs))


def _convert(crystals: Sequence[CrystalArrays], workers: int, scratch: Path) -> Iterator[_Chunk]:
    parts = [slice(start, start + _CHUNK) for start in range(0, len(crystals), _CHUNK)]
    if workers == 1 or len(parts) == 1:
        for part in parts:
            yield _convert_chunk(crystals[part])
        return
    # Forked workers inherit the crystals, and leave their arrays in files: a pipe would copy each
    # array twice, and the parent would hold what it has not written yet.
    inherited = (crystals, scratch)
    with worker_pool(workers, "fork", _inherit, inherited) as pool:
        for left in pool.map(_leave_chunk, parts):
            yield left.collect()


@dataclass(frozen=True)
class _LeftChunk:
    """A chunk whose arrays a worker has left in a file, one after the other."""

    chunk: _Chunk
    lengths: dict[str, int]
    path: Path

    def collect(self) -> _Chunk:
        """The chunk, its file removed."""
        with self.path.open("rb") as file:
            arrays = {
                name: np.fromfile(file, dtype, length * prod(row)).reshape(length, *row)
                for (name, (dtype, row)), length in zip(
                    GRAPH_ARRAYS.items(), self.lengths.values(), strict=True
                )
            }
        self.path.unlink()
        return replace(self.chunk, columns=replace(self.chunk.columns, arrays=arrays))


_inherited: list[tuple[Sequence[CrystalArrays], Path]] = []


def _inherit(crystals: Sequence[CrystalArrays], scratch: Path) -> None:
    _inherited[:] = [(crystals, scratch)]


def _leave_chunk(part: slice) -> _LeftChunk:
    crystals, scratch = _inherited[0]
    chunk, path = _convert_chunk(crystals[part]), scratch / f"graphs-{part.start}"
    arrays = [chunk.columns.arrays[name] for name in GRAPH_ARRAYS]
    with path.open("wb") as file:
        for array in arrays:
            array.tofile(file)
    lengths = dict(zip(GRAPH_ARRAYS, map(len, arrays), strict=True))
    bare = replace(chunk, columns=replace(chunk.columns, arrays={}))
    return _LeftChunk(bare, lengths, path)
