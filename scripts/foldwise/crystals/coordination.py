"""Nearest neighbours of the atoms of a crystal, as pymatgen's `MinimumDistanceNN` has them."""

from __future__ import annotations

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres

from foldwise.crystals.neighbors import CrystalArrays

NEIGHBOUR_TOLERANCE = 0.1
LARGEST_RADIUS = 13.0  # Å, beyond which an atom counts as alone


def nearest_neighbours(crystal: CrystalArrays) -> list[list[tuple[int, float]]]:
    """Per atom its neighbours within 1.1 times the shortest distance: atom and distance in Å.

    An atom without another one, or an image of its own, within 13 Å has none.
    """
    points = np.ascontiguousarray(crystal.frac @ crystal.lattice)
    lattice = np.ascontiguousarray(crystal.lattice)
    found: list[list[tuple[int, float]]] = [[] for _ in crystal.numbers]
    waiting = set(range(len(crystal.numbers)))
    radius = 3.5
    while waiting and radius <= LARGEST_RADIUS:
        centre, other, _, distance = find_points_in_spheres(
            points, points, r=radius, pbc=np.ones(3, dtype=np.int64), lattice=lattice, tol=1e-8
        )
        real = distance > 1e-6
        for atom in sorted(waiting):
            mine = real & (centre == atom)
            if mine.any():
                limit = float(distance[mine].min()) * (1 + NEIGHBOUR_TOLERANCE)
                if limit <= radius:
                    near = mine & (distance < limit)
                    pairs = zip(other[near].tolist(), distance[near].tolist(), strict=True)
                    found[atom] = sorted(pairs, key=lambda pair: pair[1])
                    waiting.discard(atom)
        radius *= 1.4
    return found
