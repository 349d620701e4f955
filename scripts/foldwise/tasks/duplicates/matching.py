"""Which crystals of one formula are the same: StructureMatcher, in several processes."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pymatgen.analysis.structure_matcher import SpeciesComparator, StructureMatcher
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure

from foldwise.common.workers import worker_pool
from foldwise.crystals.neighbors import CrystalArrays

MATCHER = (
    "pymatgen StructureMatcher, defaults (ltol 0.2, stol 0.3, angle_tol 5, primitive cells, "
    "volumes scaled)"
)
PAIRS_OF_A_TASK = 20_000
"""Pairs that one process matches at a time: a formula may have hundreds of thousands."""

Pair = tuple[int, int]


class OneElementPerSite(SpeciesComparator):
    """What the matcher compares by default, for sites that hold one whole atom.

    A match of n atoms compares up to n² pairs of sites: half of its time goes into asking whether
    two compositions are equal.
    """

    def are_equal(self, sp1: Composition, sp2: Composition) -> bool:
        """Whether two sites hold the same element."""
        (one,), (other,) = sp1, sp2
        return one is other


def matcher_of_ordered() -> StructureMatcher:
    """The matcher of `MATCHER`, for crystals whose sites hold one atom each."""
    return StructureMatcher(comparator=OneElementPerSite())


@dataclass(frozen=True)
class ReducedCrystal:
    """A crystal as StructureMatcher reduces it first: Niggli cell, then primitive cell."""

    id: str
    structure: Structure


def reduced(name: str, crystal: CrystalArrays) -> ReducedCrystal:
    """The crystal as StructureMatcher would reduce it."""
    structure = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What StructureMatcher does to each partner of each pair, once for each crystal instead.
        niggli = structure.get_reduced_structure("niggli")
        return ReducedCrystal(name, niggli.get_primitive_structure())


def same_structures(
    wanted: Iterable[Sequence[Pair]], crystals: Mapping[int, CrystalArrays], workers: int = 1
) -> set[Pair]:
    """The pairs that StructureMatcher finds to be the same.

    Pairs whose primitive cells have unequally many atoms are not matched: they cannot match with
    its defaults.

    Args:
        wanted: For each formula its pairs, the smaller number first.
        crystals: Crystals by number.
        workers: Processes; the answer does not depend on them.
    """
    tasks = (
        (part, {number: crystals[number] for number in sorted({n for pair in part for n in pair})})
        for pairs in wanted
        for part in _parts(pairs)
    )
    if workers == 1:
        return {pair for task in tasks for pair in _match(task)}
    with worker_pool(workers, "fork") as pool:
        return {pair for found in pool.map(_match, tasks, chunksize=4) for pair in found}


def _parts(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    for start in range(0, len(pairs), PAIRS_OF_A_TASK):
        yield pairs[start : start + PAIRS_OF_A_TASK]


def _match(task: tuple[Sequence[Pair], Mapping[int, CrystalArrays]]) -> list[Pair]:
    pairs, crystals = task
    matcher, wanted = matcher_of_ordered(), set(pairs)
    by_size: defaultdict[int, list[tuple[int, Structure]]] = defaultdict(list)
    for number, crystal in crystals.items():
        structure = reduced(str(number), crystal).structure
        by_size[len(structure)].append((number, structure))
    return [
        (left, right)
        for members in by_size.values()
        for (left, first), (right, second) in combinations(members, 2)
        if (left, right) in wanted and matcher.fit(first, second, skip_structure_reduction=True)
    ]
