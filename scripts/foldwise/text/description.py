"""A crystal as text, in three levels of detail, from its structure alone.

Cell, space group and Wyckoff letters are those of the standardised conventional cell (spglib), so
that another choice of the cell gives the same text. Neighbours are those within 1.1 times the
distance of the nearest one, as pymatgen's `MinimumDistanceNN` has it.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from foldwise.crystals.coordination import nearest_neighbours
from foldwise.crystals.descriptors import (
    ANGLE_TOLERANCE,
    SYMPREC,
    crystal_system,
    reduced_formula,
)
from foldwise.crystals.neighbors import CrystalArrays

Detail = Literal["composition", "cell", "sites"]
DETAILS: tuple[Detail, ...] = ("composition", "cell", "sites")
SAME_LENGTH = 0.05  # Å: bonds that differ by less are one entry
_NUDGE = 1e-9  # a value on the edge of two roundings goes the same way whatever noise it carries


class _Symmetry(NamedTuple):
    """What spglib says of a crystal; with P1 and the cell as it is, where it says nothing.

    Attributes:
        number: International number, 1 to 230.
        symbol: International short symbol.
        lattice: Standardised conventional cell, rows in Å.
        orbits: Orbit of each atom.
        letters: Wyckoff letter of each atom.
        scale: Atoms of the conventional cell per atom of the given one.
    """

    number: int
    symbol: str
    lattice: NDArray[np.float64]
    orbits: NDArray[np.int32]
    letters: list[str]
    scale: float


def crystal_text(crystal: CrystalArrays, detail: Detail) -> str:
    """Describe one crystal; the same crystal always gets the same text.

    Args:
        crystal: The structure; nothing else is known here, the target least of all.
        detail: `composition` names formula and shares of elements; `cell` adds space group, cell
            (Å, degrees) and volume per atom (Å³); `sites` adds each orbit's Wyckoff letter,
            coordination number and bond lengths (Å).
    """
    lines = [_composition(crystal)]
    if detail != "composition":
        symmetry = _symmetry(crystal)
        lines += _cell(crystal, symmetry)
        if detail == "sites":
            lines += _sites(crystal, symmetry)
    return "\n".join(lines)


def _composition(crystal: CrystalArrays) -> str:
    counts = Counter(crystal.numbers.tolist())
    pairs = tuple(sorted(counts.items()))
    formula = reduced_formula(pairs)
    total = len(crystal.numbers)
    order = [element.Z for element in Composition(formula)]
    shares = ", ".join(f"{_symbol(z)} {_rounded(100 * counts[z] / total, 0)}%" for z in order)
    return f"Formula: {formula} ({shares})"


def _cell(crystal: CrystalArrays, symmetry: _Symmetry) -> list[str]:
    lengths = np.linalg.norm(symmetry.lattice, axis=1)
    cosines = [
        symmetry.lattice[i] @ symmetry.lattice[j] / (lengths[i] * lengths[j])
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    a, b, c = (_rounded(length, 2) for length in lengths)
    alpha, beta, gamma = (_rounded(angle, 1) for angle in angles)
    system = crystal_system(symmetry.number)
    volume = abs(float(np.linalg.det(crystal.lattice))) / len(crystal.numbers)
    return [
        f"Space group: {symmetry.symbol} (No. {symmetry.number}, {system})",
        f"Cell: a={a} b={b} c={c} alpha={alpha} beta={beta} gamma={gamma}",
        f"Volume per atom: {_rounded(volume, 2)}",
    ]


def _sites(crystal: CrystalArrays, symmetry: _Symmetry) -> list[str]:
    entries = []
    neighbours = nearest_neighbours(crystal)
    for orbit in np.unique(symmetry.orbits):
        atoms = np.flatnonzero(symmetry.orbits == orbit)
        first = int(atoms[0])
        multiplicity = round(len(atoms) * symmetry.scale)
        letter, element = symmetry.letters[first], _symbol(int(crystal.numbers[first]))
        bonds = _bonds(crystal, neighbours[first])
        text = f"{element} at {multiplicity}{letter}: {len(neighbours[first])} neighbours{bonds}"
        entries.append((letter, element, text))
    # Orbits of one letter and element differ only in what is said of them: that decides.
    return [text for _, _, text in sorted(entries)]


def _bonds(crystal: CrystalArrays, neighbours: list[tuple[int, float]]) -> str:
    """`, 6 O at 1.92`: neighbours by element and length, the nearest first."""
    groups: list[tuple[float, str, int]] = []
    for number in {int(crystal.numbers[atom]) for atom, _ in neighbours}:
        lengths = sorted(d for atom, d in neighbours if int(crystal.numbers[atom]) == number)
        cuts = [k for k, (one, two) in enumerate(pairwise(lengths), 1) if two - one > SAME_LENGTH]
        parts = np.split(np.array(lengths), cuts)
        groups += [(float(part.mean()), _symbol(number), len(part)) for part in parts]
    # By the length as it is shown: its noise must not decide the order.
    shown = sorted((float(_rounded(length, 2)), symbol, count) for length, symbol, count in groups)
    return "".join(f", {count} {symbol} at {length:g}" for length, symbol, count in shown)


def _symmetry(crystal: CrystalArrays) -> _Symmetry:
    cell = (crystal.lattice.tolist(), crystal.frac.tolist(), crystal.numbers.tolist())
    count = len(crystal.numbers)
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC, angle_tolerance=ANGLE_TOLERANCE)
    except spglib.error.SpglibError:
        found = None
    if found is None:
        return _Symmetry(
            1, "P1", crystal.lattice, np.arange(count, dtype=np.int32), ["a"] * count, 1.0
        )
    return _Symmetry(
        number=int(found.number),
        symbol=str(found.international),
        lattice=np.asarray(found.std_lattice, dtype=np.float64),
        orbits=np.asarray(found.crystallographic_orbits, dtype=np.int32),
        letters=[str(letter) for letter in found.wyckoffs],
        scale=len(found.std_types) / count,
    )


def _symbol(number: int) -> str:
    return str(Element.from_Z(number).symbol)


def _rounded(value: float, decimals: int) -> str:
    """Fixed decimals, without the zeros that say nothing."""
    text = f"{value + _NUDGE:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
