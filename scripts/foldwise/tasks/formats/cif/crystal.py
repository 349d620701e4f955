"""A CIF's crystal: every site of the file, on every position that its symmetry makes of it.

What the file says twice has to agree: formula and number of formula units, multiplicities, volume,
and the number of the space group.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.periodic_table import Element

from foldwise.crystals.descriptors import spacegroup_number
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import (
    MISSING_ATOMS,
    TOO_CLOSE,
    TOO_LARGE,
    UNREADABLE,
    CrystalError,
    parse_structure,
)
from foldwise.tasks.formats.cif.sites import (
    HYDROGEN,
    LENGTHS,
    Sites,
    optional_number,
    read_lattice,
    read_sites,
)
from foldwise.tasks.formats.cif.symmetry import Operations, Symmetry, read_symmetry
from foldwise.tasks.formats.cif.syntax import Block, cif_blocks

_FORMULA = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)", re.ASCII)
_SHARE = 0.02  # of an element in the formula; formulas are rounded in print
_SAME = 1e-4  # of a cell edge: images this near are one atom
_NEAR = 0.1  # Å; images of one site this near were meant to be one atom


class _Cell(NamedTuple):
    """All atoms of a cell.

    Attributes:
        elements: Symbol of each atom.
        places: Fractional coordinates, shape [n, 3].
        sizes: How many atoms each site makes.
    """

    elements: list[str]
    places: NDArray[np.float64]
    sizes: list[int]


def crystal_of_cif(text: str, max_atoms: int) -> CrystalArrays:
    """The crystal of a CIF with one structure.

    Raises:
        CrystalError: The structure cannot be read without a guess, contradicts itself, is
            disordered, or has more than `max_atoms` sites.
    """
    block = _structure_block(cif_blocks(text))
    matrix = read_lattice(block)
    sites = read_sites(block, matrix, max_atoms)
    symmetry = read_symmetry(block, matrix)
    cell = _only_cell(block, sites, symmetry, matrix, max_atoms)
    _check_group_number(symmetry, cell, matrix)
    order = sorted(range(len(cell.elements)), key=lambda at: _electronegativity(cell.elements[at]))
    return parse_structure(
        {
            "lattice": {"matrix": matrix},
            "sites": [
                {
                    "species": [{"element": cell.elements[at], "occu": 1}],
                    "abc": cell.places[at],
                }
                for at in order
            ],
        }
    )


def _structure_block(blocks: list[Block]) -> Block:
    """The one block with a cell and atoms; others may hold what a paper says beside it."""
    found = [
        block
        for block in blocks
        if any(tag in block for tag in LENGTHS)
        and any(tag.startswith("_atom_site_") for tag in block)
    ]
    if len(found) > 1:
        raise CrystalError(UNREADABLE, f"{len(found)} structures in one CIF")
    if found:
        return found[0]
    if not any(tag in block for block in blocks for tag in LENGTHS):
        raise CrystalError(UNREADABLE, "no lattice: _cell_length_a is missing")
    raise CrystalError(UNREADABLE, "no atoms: _atom_site_fract_x is missing")


def _only_cell(
    block: Block,
    sites: Sites,
    symmetry: Symmetry,
    matrix: NDArray[np.float64],
    max_atoms: int,
) -> _Cell:
    """The cell that one choice of operations makes and the file's numbers allow."""
    cells: list[_Cell] = []
    errors: list[CrystalError] = []
    for operations in symmetry.choices:
        try:
            cell = _expanded(sites, operations, matrix, max_atoms)
            _check_formula(block, cell)
            cells.append(cell)
        except CrystalError as error:
            errors.append(error)
    if not cells:
        raise errors[0]
    if len(cells) > 1:
        raise CrystalError(
            UNREADABLE,
            f"no symmetry operations are listed, and space group {symmetry.number} has several "
            "origins or axes: the file does not say which",
        )
    return cells[0]


def _expanded(
    sites: Sites, operations: Operations, matrix: NDArray[np.float64], max_atoms: int
) -> _Cell:
    """Each site's images, those of another row on the same place once.

    Raises:
        CrystalError: Images are too near to be two atoms and too far to be one, rows of different
            elements share a place, or a multiplicity is not the one that the file states.
    """
    elements: list[str] = []
    owners: list[int] = []
    places = np.empty((0, 3))
    sizes = []
    for row, (element, place) in enumerate(zip(sites.elements, sites.places, strict=True)):
        images = operations.rotations @ place + operations.translations
        images = _distinct(images - np.floor(images), sites.labels[row], matrix)
        sizes.append(len(images))
        stated = sites.multiplicities[row]
        # SHELXL-97 writes the order of the site's symmetry under this name.
        if stated and stated not in (len(images), len(operations.rotations) / len(images)):
            raise CrystalError(
                MISSING_ATOMS,
                f"site {sites.labels[row]}: the file states the multiplicity {stated:g}, its "
                f"operations make {len(images)}",
            )
        if len(places):
            same = np.all(_away(images, places) < _SAME, axis=2)
            for other in {owners[at] for at in np.flatnonzero(same.any(axis=0))}:
                if sites.elements[other] != element:
                    reason = MISSING_ATOMS if "H" in (sites.elements[other], element) else TOO_CLOSE
                    raise CrystalError(
                        reason, f"{sites.labels[other]} and {sites.labels[row]} are on one place"
                    )
            images = images[~same.any(axis=1)]
        places = np.concatenate([places, images])
        elements += [element] * len(images)
        owners += [row] * len(images)
        if len(places) > max_atoms:
            raise CrystalError(TOO_LARGE, f"more than {max_atoms} atoms")
    return _Cell(elements, places, sizes)


def _away(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances along each axis to the nearest periodic image, shape [n, m, 3]."""
    away = some[:, None] - others[None]
    distance: NDArray[np.float64] = np.abs(away - np.round(away))
    return distance


def _distinct(
    images: NDArray[np.float64], label: str, matrix: NDArray[np.float64]
) -> NDArray[np.float64]:
    away = images[:, None] - images[None]
    away -= np.round(away)
    same = (np.abs(away) < _SAME).all(axis=2)
    distance = np.linalg.norm(away @ matrix, axis=2)
    near = ~same & (distance < _NEAR)
    if near.any():
        raise CrystalError(
            TOO_CLOSE,
            f"images of site {label} are {distance[near].min():.3f} Å apart: write its coordinates "
            "with more digits (0.333 is too short for 1/3)",
        )
    kept: NDArray[np.float64] = images[same.argmax(axis=1) == np.arange(len(images))]
    return kept


def _check_formula(block: Block, cell: _Cell) -> None:
    """Refuse atoms that are not those of the stated formula, or not as many as Z says."""
    stated = _formula((block.get("_chemical_formula_sum") or ["?"])[0])
    if not stated:
        return
    own = Counter(cell.elements)
    total, n_atoms = sum(stated.values()), len(cell.elements)
    if any(abs(stated[e] / total - own[e] / n_atoms) > _SHARE for e in {*stated, *own}):
        raise CrystalError(
            MISSING_ATOMS, f"the file states {_written(stated)}, its sites make {_written(own)}"
        )
    units = optional_number(block, "_cell_formula_units_z")
    if not units:
        return
    # pymatgen writes the whole cell as formula, and beside it the number of units in that.
    whole_cell = all(count % units == 0 for count in stated.values())
    allowed = [units * total, total] if whole_cell else [units * total]
    if all(abs(n_atoms - expected) > max(0.5, _SHARE * expected) for expected in allowed):
        raise CrystalError(
            MISSING_ATOMS,
            f"the file states {units:g} times {_written(stated)}, its sites make {n_atoms} atoms",
        )


def _formula(text: str) -> Counter[str]:
    """Atoms of a formula such as "Zr O2"; nothing if it is not written so."""
    plain = "".join(text.split())
    parts = _FORMULA.findall(plain)
    if "".join(f"{element}{count}" for element, count in parts) != plain:
        return Counter()
    found: Counter[str] = Counter()
    for element, count in parts:
        name = HYDROGEN.get(element, element)
        if not Element.is_valid_symbol(name) or count == ".":
            return Counter()
        found[name] += float(count or 1)  # type: ignore[assignment]  # counts may be fractions
    return found if sum(found.values()) > 0 else Counter()


def _written(formula: Counter[str]) -> str:
    names = sorted(formula, key=_electronegativity)
    return "".join(f"{name}{formula[name]:g}" if formula[name] != 1 else name for name in names)


def _check_group_number(symmetry: Symmetry, cell: _Cell, matrix: NDArray[np.float64]) -> None:
    """Operations of another group than the named one: atoms are missing, unless all are listed."""
    if symmetry.number is None or symmetry.number_made in (None, symmetry.number):
        return
    numbers = np.array([Element(element).Z for element in cell.elements], dtype=np.int32)
    if spacegroup_number(CrystalArrays(numbers, cell.places, matrix)) != symmetry.number:
        raise CrystalError(
            MISSING_ATOMS,
            f"the file names space group {symmetry.number}, its operations are of "
            f"{symmetry.number_made}",
        )


def _electronegativity(element: str) -> float:
    """Pymatgen's order of atoms; noble gases, which have none, come last."""
    value = Element(element).X
    return float(value) if value == value else np.inf  # noqa: PLR0124 - NaN
