"""Stand-in crystals: a composition's atoms on a jittered lattice of the volume that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from foldwise.crystals.neighbors import CrystalArrays

# A body-centred cubic lattice jittered by 15 % of the mean spacing has, on the compositions of 500
# of the 3,589 embedded crystals (every seventh), 26.1 edges within 6 Å, 3.1 bonds within 3 Å, 45
# angles per atom; the crystals themselves have 26.2, 3.0 and 46. Simple and face-centred cubic
# ones are farther off.
JITTER = 0.15
LARGEST_JITTER = 2.6
"""Standard deviations of one coordinate that an atom moves at most: two neighbours stay 0.31 of the
spacing apart, 0.55 Å in the densest element."""
_BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])
SPARE = 0.1
"""Most sites that stay empty for a cell that is no needle: 149 atoms fill but one of 5 x 5 x 6."""
_N_ELEMENTS = 119


def atomic_volumes(crystals: Sequence[CrystalArrays]) -> NDArray[np.float64]:
    """Volume of each element by non-negative least squares of the cells' volumes, Å³, [119].

    Cells count by their volume per atom. An element that no cell holds takes the mean.
    """
    counts = np.stack([counts_of(crystal.numbers) for crystal in crystals])
    atoms = counts.sum(axis=1)
    per_atom = np.array([abs(np.linalg.det(crystal.lattice)) for crystal in crystals]) / atoms
    volumes, _ = nnls(counts / atoms[:, None], per_atom)
    volumes[volumes == 0] = per_atom.mean()
    fitted: NDArray[np.float64] = volumes
    return fitted


def counts_of(numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """Atoms of each element, [119]."""
    return np.bincount(numbers, minlength=_N_ELEMENTS).astype(np.float64)


def stand_in(
    composition: Mapping[int, float], volumes: NDArray[np.float64], generator: np.random.Generator
) -> CrystalArrays:
    """A crystal of this composition that no calculation has seen.

    Args:
        composition: Atoms in the cell by atomic number; rounded to whole atoms, at least one each.
        volumes: Volume of each element in Å³, [119].
        generator: Decides places and jitter.
    """
    numbers = np.repeat(
        list(composition), [max(1, round(count)) for count in composition.values()]
    ).astype(np.int32)
    n_atoms = len(numbers)
    volume = float(volumes[numbers].sum())
    cells = cell_with_room(n_atoms)
    n_sites = int(np.prod(cells))
    spacing = (volume / n_sites) ** (1 / 3)
    # The primitive cell of a body-centred cube of edge 1 has half its volume.
    lattice = np.diag(cells) @ _BCC * (2 ** (1 / 3) * spacing)
    axes = [np.arange(count) / count for count in cells]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    taken = grid[np.sort(generator.permutation(n_sites)[:n_atoms])]
    moved = generator.normal(size=(n_atoms, 3))
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    moved *= np.minimum(1, LARGEST_JITTER / lengths)
    fractions = taken + JITTER * spacing * moved @ np.linalg.inv(lattice)
    return CrystalArrays(generator.permutation(numbers), fractions, lattice)


def cell_with_room(count: int) -> tuple[int, int, int]:
    """Cells along three edges with room for `count` atoms: the most cubic one, then the fullest."""
    most = int(count * (1 + SPARE)) + 1
    shapes = [most_cubic(sites) for sites in range(count, most + 1)]
    return min(shapes, key=lambda shape: (max(shape) / min(shape), np.prod(shape)))


def most_cubic(count: int) -> tuple[int, int, int]:
    """Three whole factors of `count` of which the largest is smallest."""
    best = (1, 1, count)
    for first in range(1, round(count ** (1 / 3)) + 2):
        if count % first:
            continue
        rest = count // first
        for second in range(first, int(rest**0.5) + 1):
            if rest % second == 0 and rest // second < max(best):
                best = (first, second, rest // second)
    return best
