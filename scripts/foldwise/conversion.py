"""Every structure of a task to one graph store, in parallel processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import compress
from multiprocessing import get_context
from pathlib import Path

from foldwise.errors import FoldwiseError
from foldwise.neighbors import CrystalArrays, CrystalGraphArrays, GraphError, build_graph
from foldwise.store import GraphColumns, StoreFailure, write_store
from foldwise.structures import read_structures

_CHUNK = 128  # crystals per task of a worker process


@dataclass(frozen=True)
class _Chunk:
    """Graphs of consecutive crystals, joined so that few arrays travel between processes.

    Attributes:
        reasons: Why a crystal has no graph, or `None`, for every crystal of the chunk.
        columns: Graphs of the others.
    """

    reasons: list[str | None]
    columns: GraphColumns


def build_store(
    structures: str | os.PathLike[str], folder: str | os.PathLike[str], workers: int = 1
) -> None:
    """Convert every structure and write the store; a crystal without a graph becomes a failure row.

    The result does not depend on `workers`.

    Raises:
        FoldwiseError: No structure at all has a graph.
    """
    ids, crystals = read_structures(structures)
    chunks = list(_convert(crystals, workers))
    reasons = [reason for chunk in chunks for reason in chunk.reasons]
    good = [reason is None for reason in reasons]
    if not any(good):
        raise FoldwiseError(
            f"none of the {len(ids)} structures has a graph",
            where=str(structures),
            hint="Look at the reasons in the dataset's failures.csv.",
        )
    write_store(
        Path(folder),
        list(compress(ids, good)),
        list(compress(crystals, good)),
        GraphColumns.concatenate([chunk.columns for chunk in chunks if None in chunk.reasons]),
        [
            StoreFailure(crystal, "graphs", "isolated or unreadable graph", reason)
            for crystal, reason in zip(ids, reasons, strict=True)
            if reason is not None
        ],
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


def _convert(crystals: Sequence[CrystalArrays], workers: int) -> Iterator[_Chunk]:
    parts = [slice(start, start + _CHUNK) for start in range(0, len(crystals), _CHUNK)]
    if workers == 1 or len(parts) == 1:
        for part in parts:
            yield _convert_chunk(crystals[part])
        return
    # Forked workers inherit the crystals: only slices and joined graphs travel.
    with ProcessPoolExecutor(workers, get_context("fork"), _inherit, (crystals,)) as pool:
        yield from pool.map(_convert_inherited, parts)


_inherited: list[Sequence[CrystalArrays]] = []


def _inherit(crystals: Sequence[CrystalArrays]) -> None:
    _inherited[:] = [crystals]


def _convert_inherited(part: slice) -> _Chunk:
    return _convert_chunk(_inherited[0][part])
