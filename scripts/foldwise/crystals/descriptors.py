"""What the reports group by: formula, anion family, crystal system, space group."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from foldwise.crystals.names import UNKNOWN_SYSTEM
from foldwise.crystals.neighbors import CrystalArrays

SYMPREC = 0.01  # Å, the default of the Materials Project and of pymatgen's SpacegroupAnalyzer
ANGLE_TOLERANCE = 5.0  # degrees, pymatgen's default
ELEMENTAL = "elemental"
INTERMETALLIC = "intermetallic"

# Anion formers by falling Pauling electronegativity (3.98 for F to 2.04 for B). Metals that are
# more electronegative than boron (Au, Pt, W, …) form no anion family and are left out.
_ANION_FAMILY = {
    "F": "halide",
    "O": "oxide",
    "Cl": "halide",
    "N": "pnictide",
    "Br": "halide",
    "I": "halide",
    "S": "chalcogenide",
    "Se": "chalcogenide",
    "C": "carbide",
    "H": "hydride",
    "P": "pnictide",
    "As": "pnictide",
    "Te": "chalcogenide",
    "Sb": "pnictide",
    "B": "boride",
}
_PRECEDENCE = [(Element(symbol).Z, family) for symbol, family in _ANION_FAMILY.items()]
ANION_FAMILIES = (*dict.fromkeys(_ANION_FAMILY.values()), INTERMETALLIC, ELEMENTAL)

# International Tables for Crystallography A: last space group of each crystal system.
_LAST_SPACEGROUP = {
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "trigonal": 167,
    "hexagonal": 194,
    "cubic": 230,
}


class Descriptors(NamedTuple):
    """The descriptive columns of targets.parquet, in their order."""

    formula: str
    n_atoms: int
    n_elements: int
    anion_family: str
    crystal_system: str
    spacegroup: int


def describe(crystal: CrystalArrays) -> Descriptors:
    """All descriptors of one crystal."""
    atomic_numbers, counts = np.unique(crystal.numbers, return_counts=True)
    composition = tuple(zip(atomic_numbers.tolist(), counts.tolist(), strict=True))
    spacegroup = spacegroup_number(crystal)
    return Descriptors(
        formula=reduced_formula(composition),
        n_atoms=len(crystal.numbers),
        n_elements=len(composition),
        anion_family=anion_family(crystal.numbers),
        crystal_system=crystal_system(spacegroup),
        spacegroup=spacegroup,
    )


@lru_cache(maxsize=100_000)
def reduced_formula(composition: tuple[tuple[int, int], ...]) -> str:
    """Pymatgen's reduced formula of (atomic number, count) pairs."""
    amounts = {Element.from_Z(number).symbol: count for number, count in composition}
    with warnings.catch_warnings():
        # Light noble gases have no electronegativity; pymatgen then sorts them last, and says so.
        warnings.simplefilter("ignore", UserWarning)
        return str(Composition(amounts).reduced_formula)


def anion_family(numbers: NDArray[np.int32]) -> str:
    """Family of a crystal by its most electronegative anion former.

    The order is that of Pauling's electronegativities: F, O, Cl, N, Br, I, S, Se, C, H, P, As, Te,
    Sb, B. The first of them that is present decides, so that a carbonate, a phosphate or a
    hydroxide is an oxide and an oxychloride too, but an oxyfluoride is a halide. A crystal of one
    element is elemental; one of several elements without an anion former is intermetallic.
    """
    present = set(numbers.tolist())
    if len(present) == 1:
        return ELEMENTAL
    return next((family for number, family in _PRECEDENCE if number in present), INTERMETALLIC)


def spacegroup_number(crystal: CrystalArrays) -> int:
    """International space group number by spglib; 0 where spglib finds none."""
    cell = (crystal.lattice.tolist(), crystal.frac.tolist(), crystal.numbers.tolist())
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC, angle_tolerance=ANGLE_TOLERANCE)
    except spglib.error.SpglibError:
        return 0
    return 0 if found is None else int(found.number)


def crystal_system(spacegroup: int) -> str:
    """Crystal system of a space group number; "unknown" for 0."""
    if spacegroup == 0:
        return UNKNOWN_SYSTEM
    return next(name for name, last in _LAST_SPACEGROUP.items() if spacegroup <= last)
