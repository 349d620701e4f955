"""From a stream of structures to parts with graphs, a few of them ahead of who takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import compress

import numpy as np

from foldwise.common.workers import worker_pool
from foldwise.crystals.neighbors import CrystalArrays, CrystalGraphArrays, GraphError, build_graph
from foldwise.crystals.parsing import Failure
from foldwise.graphs.store import GraphColumns, GraphStore
from foldwise.tasks.formats.rows import StructureRow

# A part is what is held in memory, written at once, and answered in the same batches again after
# an interruption. 40 kB of graph go with a crystal of 29 atoms.
PART_CRYSTALS, PART_ATOMS = 1024, 16_384
_AHEAD = 3  # parts being converted while one is answered


@dataclass(frozen=True)
class Part:
    """Consecutive rows of a source.

    Attributes:
        ids: All of them, in order.
        reasons: Why a row has no graph, or `None`, in that order.
        store: Graphs of the others, in that order; `None` where no row has one.
    """

    ids: list[str]
    reasons: list[str | None]
    store: GraphStore | None


def parts(rows: Iterable[StructureRow], workers: int) -> Iterator[Part]:
    """Cut rows into parts and convert them in other processes; neither depends on `workers`."""
    with worker_pool(workers, "fork") as pool:
        waiting: deque[tuple[list[StructureRow], Future[_Graphs]]] = deque()
        for cut in cut_rows(rows):
            waiting.append((cut, pool.submit(_convert, [row.crystal for row in cut])))
            if len(waiting) > _AHEAD:
                yield _collected(*waiting.popleft())
        while waiting:
            yield _collected(*waiting.popleft())


def cut_rows(rows: Iterable[StructureRow]) -> Iterator[list[StructureRow]]:
    """Consecutive rows, up to `PART_CRYSTALS` of them or until they have `PART_ATOMS` atoms."""
    cut: list[StructureRow] = []
    atoms = 0
    for row in rows:
        cut.append(row)
        atoms += 0 if isinstance(row.crystal, Failure) else len(row.crystal.numbers)
        if len(cut) >= PART_CRYSTALS or atoms >= PART_ATOMS:
            yield cut
            cut, atoms = [], 0
    if cut:
        yield cut


def graphs_of(ids: Sequence[str], crystals: Sequence[CrystalArrays | Failure]) -> Part:
    """One part of a few crystals, converted here and now."""
    return _part(list(ids), crystals, _convert(crystals))


@dataclass(frozen=True)
class _Graphs:
    reasons: list[str | None]
    columns: GraphColumns


def _convert(crystals: Sequence[CrystalArrays | Failure]) -> _Graphs:
    graphs: list[CrystalGraphArrays] = []
    reasons: list[str | None] = []
    for crystal in crystals:
        if isinstance(crystal, Failure):
            reasons.append(f"{crystal.reason} ({crystal.detail})")
            continue
        try:
            graphs.append(build_graph(crystal))
            reasons.append(None)
        except (GraphError, ValueError) as error:
            reasons.append(str(error))
    return _Graphs(reasons, GraphColumns.of(graphs))


def _collected(cut: list[StructureRow], graphs: Future[_Graphs]) -> Part:
    return _part([row.id for row in cut], [row.crystal for row in cut], graphs.result())


def _part(ids: list[str], crystals: Sequence[CrystalArrays | Failure], graphs: _Graphs) -> Part:
    good = [reason is None for reason in graphs.reasons]
    kept = [crystal for crystal in compress(crystals, good) if not isinstance(crystal, Failure)]
    if not kept:
        return Part(ids, graphs.reasons, None)
    columns = graphs.columns
    atoms = [len(crystal.numbers) for crystal in kept]
    counts = np.column_stack([atoms, columns.counts])
    store = GraphStore(
        ids=list(compress(ids, good)),
        offsets=np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(counts, axis=0)]),
        core=columns.core,
        short=columns.short,
        arrays={
            "numbers": np.concatenate([crystal.numbers for crystal in kept]).astype(np.int32),
            "frac": np.concatenate([crystal.frac for crystal in kept]).astype(np.float32),
            "lattice": np.stack([crystal.lattice for crystal in kept]).astype(np.float32),
            **columns.arrays,
        },
    )
    return Part(ids, graphs.reasons, store)
