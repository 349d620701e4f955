"""Cell and sites of a CIF as it lists them; a row that would have to be guessed is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element

from foldwise.crystals.parsing import (
    ABSURD_CELL,
    DISORDERED,
    EMPTY,
    MISSING_ATOMS,
    TOO_LARGE,
    UNKNOWN_ELEMENT,
    UNREADABLE,
    CrystalError,
)
from foldwise.tasks.formats.cif.syntax import MISSING, Block

LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_FRACTIONS = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_CARTESIAN = ("_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z")
_MULTIPLICITY = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
HYDROGEN = {"D": "H"}
# A number, perhaps with its standard uncertainty: 0.2754(3).
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\)?)?", re.ASCII)
_SYMBOL = re.compile(
    r"(?P<mass>\d{1,3})?(?P<element>[A-Z][a-z]?)\d*(?:[+-]\d*\.?\d*|\d*\.?\d*[+-])?", re.ASCII
)
_LABEL = re.compile(r"(?P<element>[A-Z][a-z]?)(?![A-Za-z]).*", re.DOTALL)
_WATER = re.compile(r"wat|o-?h\d*\b|h2o|h3o|nh[34]", re.IGNORECASE)
_LARGEST = 1e9
_VOLUME_TOLERANCE = 0.02
_ROUNDED = 1e-4  # relative: 0.3333 is 1/3


class Sites(NamedTuple):
    """Rows of the loop of atoms.

    Attributes:
        labels: Names for messages.
        elements: Symbols, deuterium as H.
        places: Fractional coordinates, shape [n, 3].
        multiplicities: What the file states, if it does.
    """

    labels: list[str]
    elements: list[str]
    places: NDArray[np.float64]
    multiplicities: list[float | None]


def _number(text: str, tag: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or not abs(float(found[1])) < _LARGEST:
        raise CrystalError(UNREADABLE, f"{tag} is {text[:40]!r}, which is no number")
    return float(found[1])


def optional_number(block: Block, tag: str) -> float | None:
    """A number that may be missing."""
    text = (block.get(tag) or ["?"])[0]
    return None if text in MISSING or not _NUMBER.fullmatch(text) else _number(text, tag)


def read_lattice(block: Block) -> NDArray[np.float64]:
    """Lattice vectors as rows in Å, shape [3, 3], oriented as pymatgen does.

    Raises:
        CrystalError: A length or angle is missing, no cell has them, or the volume is another.
    """
    values = []
    for tag in (*LENGTHS, *_ANGLES):
        if not block.get(tag) or block[tag][0] in MISSING:
            raise CrystalError(UNREADABLE, f"{tag} is missing")
        values.append(_number(block[tag][0], tag))
    lengths, angles = values[:3], values[3:]
    cosines = np.cos(np.radians(angles))
    shape = 1 - np.square(cosines).sum() + 2 * cosines.prod()
    if min(lengths) <= 0 or min(angles) <= 0 or max(angles) >= 180 or shape <= 0:
        raise CrystalError(ABSURD_CELL, f"lengths {lengths}, angles {angles}")
    matrix: NDArray[np.float64] = Lattice.from_parameters(*values).matrix.copy()
    stated, own = optional_number(block, "_cell_volume"), abs(float(np.linalg.det(matrix)))
    if stated and abs(own - stated) > _VOLUME_TOLERANCE * own:
        raise CrystalError(
            ABSURD_CELL, f"the file states a volume of {stated:g} Å³, its cell has {own:.1f}"
        )
    return matrix


def read_sites(block: Block, matrix: NDArray[np.float64], max_atoms: int) -> Sites:
    """The rows of the loop of atoms.

    Raises:
        CrystalError: A row is not one whole atom of a known element at a known place.
    """
    cartesian = _FRACTIONS[0] not in block and _CARTESIAN[0] in block
    axes = [block.get(tag, []) for tag in (_CARTESIAN if cartesian else _FRACTIONS)]
    n_rows = max(map(len, axes))
    if n_rows > max_atoms:
        raise CrystalError(TOO_LARGE, f"{n_rows} sites, more than {max_atoms}")
    if not n_rows:
        raise CrystalError(EMPTY, "0 sites")
    labels = block.get("_atom_site_label") or block.get("_atom_site_type_symbol") or []
    if {n_rows} != {len(labels), *map(len, axes)}:
        raise CrystalError(
            UNREADABLE, "a column of the atoms is missing: label or type symbol, and x, y, z"
        )
    columns = {
        tag: values
        for tag, values in block.items()
        if tag.startswith("_atom_site_") and len(values) == n_rows
    }
    rows = [{tag: values[at] for tag, values in columns.items()} for at in range(n_rows)]
    elements = [_element(row, label) for row, label in zip(rows, labels, strict=True)]
    _check_occupancies(rows, labels, elements)
    places = np.array(
        [[_coordinate(values[at], label) for values in axes] for at, label in enumerate(labels)]
    )
    if cartesian:
        if np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-6:
            raise CrystalError(
                UNREADABLE, "Cartesian coordinates in an oblique cell: write fractional ones"
            )
        places = places / np.diag(matrix)
    return Sites(labels, elements, _thirds(places), [_multiplicity(row) for row in rows])


def _element(row: dict[str, str], label: str) -> str:
    """The element of a row; nothing that is not written as an element is taken for one."""
    symbol = row.get("_atom_site_type_symbol")
    if row.get("_atom_site_calc_flag", "").lower() == "dum":
        raise CrystalError(UNKNOWN_ELEMENT, f"site {label} is a dummy")
    hydrogens = row.get("_atom_site_attached_hydrogens", "0")
    if hydrogens not in MISSING and not re.fullmatch(r"0+\.?0*", hydrogens):
        raise CrystalError(MISSING_ATOMS, f"site {label} has {hydrogens} hydrogen without a site")
    text = label if symbol is None else symbol
    if _WATER.match(text):
        raise CrystalError(MISSING_ATOMS, f"site {label} ({text}) stands for several atoms")
    if " + " in text:
        raise CrystalError(DISORDERED, f"site {label}: {text[:60]}")
    found = (_LABEL if symbol is None else _SYMBOL).fullmatch(text)
    name = found["element"] if found else ""
    # T is a tetrahedral site far more often than tritium.
    if name == "T" or not (name == "D" or Element.is_valid_symbol(name)):
        raise CrystalError(UNKNOWN_ELEMENT, f"{text[:40]} (site {label[:40]})")
    mass = found.groupdict().get("mass") if found else None
    number = Element(HYDROGEN.get(name, name)).Z
    if mass and not number <= int(mass) <= 3 * number:
        raise CrystalError(UNKNOWN_ELEMENT, f"{text[:40]} (site {label[:40]})")
    return HYDROGEN.get(name, name)


def _check_occupancies(
    rows: Sequence[dict[str, str]], labels: Sequence[str], elements: Sequence[str]
) -> None:
    """An occupancy that is not given ('.') is 1; every other has to be 1."""
    partial = []
    for row, label, element in zip(rows, labels, elements, strict=True):
        text = row.get("_atom_site_occupancy", ".")
        if text == "?":
            raise CrystalError(UNREADABLE, f"the occupancy of site {label} is not known ('?')")
        if text != "." and _number(text, f"the occupancy of site {label}") != 1:
            partial.append(f"{element} {_number(text, label):g}")
    if partial:
        raise CrystalError(DISORDERED, ", ".join(partial[:6]))


def _coordinate(text: str, label: str) -> float:
    if text in MISSING:
        raise CrystalError(UNREADABLE, f"a coordinate of site {label} is missing ({text!r})")
    return _number(text, f"a coordinate of site {label}")


def _multiplicity(row: dict[str, str]) -> float | None:
    text = next((row[tag] for tag in _MULTIPLICITY if tag in row), "?")
    return float(text) if re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII) else None


def _thirds(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates with 1/3 and 2/3 exact where they were rounded: operations multiply the error."""
    exact = places.copy()
    for third in (1 / 3, 2 / 3):
        exact[np.abs(places / third - 1) <= _ROUNDED] = third
    return exact
