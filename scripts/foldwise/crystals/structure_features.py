"""A crystal in eighteen numbers that its formula does not tell: density, shape, bonds."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.periodic_table import Element

from foldwise.crystals.coordination import nearest_neighbours
from foldwise.crystals.descriptors import spacegroup_number
from foldwise.crystals.neighbors import CrystalArrays

STRUCTURE_FEATURES = (
    "atoms",
    "volume_per_atom",
    "density",
    "packing",
    "spacegroup",
    "axis_middle",
    "axis_short",
    "skew",
    "coordination_mean",
    "coordination_min",
    "coordination_max",
    "bond_mean",
    "bond_min",
    "bond_max",
    "relative_bond_mean",
    "relative_bond_min",
    "polarity_mean",
    "like_bonds",
)
"""Names of the features, in their order; `structure_features` says what they are."""
_GRAMS_PER_CM3 = 1.66053906660  # of one atomic mass unit per Å³ (CODATA 2018)


def structure_features(crystal: CrystalArrays) -> NDArray[np.float64]:
    """The features `STRUCTURE_FEATURES` `[18]`; NaN where a crystal has no such thing.

    Atoms of the given cell; volume per atom (Å³); density (g/cm³); share of the volume in spheres
    of the elements' atomic radii (pymatgen); space group number; middle and shortest axis over the
    longest; largest |cosine| between two axes. Then, over nearest neighbours (within 1.1 times an
    atom's shortest distance): coordination number (mean, least, most), bond length (Å), bond length
    over the sum of both atomic radii, difference of Pauling electronegativities, and the share of
    bonds between atoms of one element.
    """
    numbers = crystal.numbers
    volume = abs(float(np.linalg.det(crystal.lattice)))
    mass, radius, electronegativity = np.array([_properties(int(z)) for z in numbers]).T
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    short, middle, longest = np.sort(lengths)
    cosines = crystal.lattice @ crystal.lattice.T / np.outer(lengths, lengths)
    return np.array(
        [
            len(numbers),
            volume / len(numbers),
            _GRAMS_PER_CM3 * mass.sum() / volume,
            4.0 / 3.0 * np.pi * (radius**3).sum() / volume,
            spacegroup_number(crystal),
            middle / longest,
            short / longest,
            np.abs(cosines[np.triu_indices(3, 1)]).max(),
            *_bonds(crystal, radius, electronegativity),
        ]
    )


def _bonds(
    crystal: CrystalArrays, radius: NDArray[np.float64], electronegativity: NDArray[np.float64]
) -> list[float]:
    neighbours = nearest_neighbours(crystal)
    counts = np.array([len(found) for found in neighbours])
    if not counts.any():
        return [0.0, 0.0, 0.0, *[float("nan")] * 7]
    first = np.repeat(np.arange(len(counts)), counts)
    pairs = [pair for found in neighbours for pair in found]
    second = np.array([atom for atom, _ in pairs])
    length = np.array([distance for _, distance in pairs])
    relative = length / (radius[first] + radius[second])
    polarity = np.abs(electronegativity[first] - electronegativity[second])
    return [
        float(value)
        for value in (
            counts.mean(), counts.min(), counts.max(), length.mean(), length.min(), length.max(),
            relative.mean(), relative.min(), polarity.mean(),
            (crystal.numbers[first] == crystal.numbers[second]).mean(),
        )
    ]  # fmt: skip


@cache
def _properties(number: int) -> tuple[float, float, float]:
    """Atomic mass, atomic radius in Å and electronegativity; NaN where pymatgen knows none."""
    element = Element.from_Z(number)
    radius = element.atomic_radius
    return (
        float(element.atomic_mass),
        float("nan") if radius is None else float(radius),
        # pymatgen warns where there is none: light noble gases
        float("nan") if number in {2, 10, 18} else float(element.X),
    )
