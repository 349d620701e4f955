"""From a pymatgen structure dict to plain arrays, without building pymatgen objects.

`Structure.from_dict` makes a Python object of every site and takes most of the time of reading a
large dataset; a crystal needs only three arrays. What those arrays cannot express (partial
occupancy, unknown species, a molecule) is refused with a reason, never approximated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.optimization.neighbors import find_points_in_spheres

from foldwise.crystals.neighbors import CrystalArrays

MAX_ATOMIC_NUMBER = 94  # CHGNet has embeddings for H to Pu
MIN_VOLUME_PER_ATOM = 1.0  # Å³
MAX_VOLUME_PER_ATOM = 1000.0  # Å³
MIN_PLANE_SPACING = 0.1  # Å between neighbouring lattice planes
MIN_DISTANCE = 0.5  # Å, pymatgen's own Structure.DISTANCE_TOLERANCE
_MAX_FRACTION = 100.0  # cells away from the origin
# Neighbours of atoms that are many cells apart (an unwrapped trajectory) take minutes to find, and
# their images do not fit the graph. Nearer ones stay as they are.
_FAR = 2.0

UNREADABLE = "unreadable structure"
EMPTY = "empty structure"
UNKNOWN_ELEMENT = "unknown element"
HEAVY_ELEMENT = f"element beyond Z = {MAX_ATOMIC_NUMBER}"
DISORDERED = "partial occupancy"
ABSURD_CELL = "absurd cell"
TOO_CLOSE = "atoms too close"
TOO_LARGE = "cell too large"
MISSING_ATOMS = "atoms missing"

# "Fe", "Fe3+", "O2-", "Na+", "Fe2.5+"
_SPECIES = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-])?")


class Failure(NamedTuple):
    """Why a row is left out: `reason` from a fixed list, `detail` what was found."""

    reason: str
    detail: str


class CrystalError(ValueError):
    """A structure that cannot be used; `failure` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.failure = Failure(reason, detail)


def parse_structure(value: object) -> CrystalArrays:
    """Read a pymatgen structure dict.

    Sites may carry fractional (`abc`) or only Cartesian (`xyz`) coordinates, the lattice a matrix
    or its six parameters, species an oxidation state; deuterium and tritium become hydrogen.
    Fractional coordinates are kept as they are; if one is more than `_FAR` cells from the origin,
    all are wrapped into the cell.

    Raises:
        CrystalError: The dict is no crystal, or holds disorder or an unknown or too heavy element.
    """
    if not isinstance(value, Mapping):
        raise CrystalError(UNREADABLE, f"{_kind(value)} instead of a structure dict")
    try:
        return _parsed(value)
    except CrystalError:
        raise
    # What stands in a dict from outside may break any step: integers beyond floats, endless text.
    except Exception as error:
        raise CrystalError(UNREADABLE, one_line(error)) from error


def one_line(error: Exception) -> str:
    """An error of another library, on one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"


def _parsed(value: Mapping[str, Any]) -> CrystalArrays:
    sites = value.get("sites")
    if not isinstance(sites, Sequence) or isinstance(sites, str):
        raise CrystalError(UNREADABLE, "no list of sites")
    if not sites:
        raise CrystalError(EMPTY, "0 sites")
    lattice = _lattice(value.get("lattice"))
    numbers = np.array([_atomic_number(row, site) for row, site in enumerate(sites)], np.int32)
    return CrystalArrays(numbers=numbers, frac=_fractions(sites, lattice), lattice=lattice)


def parse_or_failure(value: object) -> CrystalArrays | Failure:
    """As `parse_structure`, with the reason in place of an error."""
    try:
        return parse_structure(value)
    except CrystalError as error:
        return error.failure


def check_crystal(crystal: CrystalArrays) -> None:
    """Refuse a cell in which no crystal can be.

    The limits: 1 to 1000 Å³ per atom, lattice planes at least 0.1 Å and atoms (periodic images
    included) at least 0.5 Å apart. A left-handed cell is fine.

    Raises:
        CrystalError: One of the limits is broken.
    """
    areas = np.linalg.norm(np.cross(crystal.lattice[[1, 2, 0]], crystal.lattice[[2, 0, 1]]), axis=1)
    volume = abs(float(np.linalg.det(crystal.lattice)))
    per_atom = volume / len(crystal.numbers)
    if not MIN_VOLUME_PER_ATOM <= per_atom <= MAX_VOLUME_PER_ATOM:
        raise CrystalError(ABSURD_CELL, f"{per_atom:.4g} Å³ per atom")
    spacing = float(volume / areas.max())
    if spacing < MIN_PLANE_SPACING:
        raise CrystalError(ABSURD_CELL, f"lattice planes {spacing:.3g} Å apart")
    closest = _closest_pair_below(crystal, MIN_DISTANCE)
    if closest is not None:
        raise CrystalError(TOO_CLOSE, f"{closest:.3f} Å")


def _lattice(value: object) -> NDArray[np.float64]:
    if not isinstance(value, Mapping):
        raise CrystalError(UNREADABLE, "no lattice (a molecule?)")
    periodic = value.get("pbc")
    if periodic is not None and not (isinstance(periodic, Sequence) and all(periodic)):
        raise CrystalError(UNREADABLE, "not periodic in all three directions")
    try:
        if "matrix" in value:
            matrix = np.array(value["matrix"], dtype=np.float64)
        else:
            names = ("a", "b", "c", "alpha", "beta", "gamma")
            matrix = Lattice.from_parameters(*(float(value[name]) for name in names)).matrix.copy()
    except (KeyError, TypeError, ValueError) as error:
        raise CrystalError(UNREADABLE, f"lattice: {_cause(error)}") from error
    if matrix.shape != (3, 3):
        raise CrystalError(UNREADABLE, f"lattice of shape {list(matrix.shape)}")
    if not np.isfinite(matrix).all():
        raise CrystalError(ABSURD_CELL, "a lattice vector is not finite")
    # Relative, so that a large but flat cell is singular too.
    longest = float(np.linalg.norm(matrix, axis=1).max())
    if abs(float(np.linalg.det(matrix))) <= 1e-12 * longest**3:
        raise CrystalError(ABSURD_CELL, "the lattice is singular")
    return matrix


def _atomic_number(row: int, site: object) -> int:
    species = site.get("species") if isinstance(site, Mapping) else None
    if not isinstance(species, Sequence) or not all(isinstance(s, Mapping) for s in species):
        raise CrystalError(UNREADABLE, f"site {row} has no species")
    if not species:
        raise CrystalError(DISORDERED, f"site {row} is empty")
    numbers = [_number_of(str(entry.get("element"))) for entry in species]
    occupancy = species[0].get("occu", 1)
    if len(species) > 1 or occupancy != 1:
        names = ", ".join(f"{entry.get('element')} {entry.get('occu', 1)}" for entry in species)
        raise CrystalError(DISORDERED, f"site {row}: {names}")
    return numbers[0]


@lru_cache(maxsize=1024)
def _number_of(species: str) -> int:
    match = _SPECIES.fullmatch(species)
    if match is None or not Element.is_valid_symbol(match[1]):
        raise CrystalError(UNKNOWN_ELEMENT, species)
    number = int(Element(match[1]).Z)
    if number > MAX_ATOMIC_NUMBER:
        raise CrystalError(HEAVY_ELEMENT, f"{match[1]} (Z = {number})")
    return number


def _fractions(
    sites: Sequence[Mapping[str, Any]], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    cartesian = not all("abc" in site for site in sites)
    try:
        key = "xyz" if cartesian else "abc"
        points = np.array([site[key] for site in sites], dtype=np.float64)
    except KeyError as error:
        raise CrystalError(UNREADABLE, "a site has no coordinates") from error
    except (TypeError, ValueError) as error:
        raise CrystalError(UNREADABLE, f"coordinates: {_cause(error)}") from error
    if points.shape != (len(sites), 3):
        raise CrystalError(UNREADABLE, f"coordinates of shape {list(points.shape)}")
    if not np.isfinite(points).all():
        raise CrystalError(UNREADABLE, "a coordinate is not finite")
    frac: NDArray[np.float64] = points @ np.linalg.inv(lattice) if cartesian else points
    farthest = float(np.abs(frac).max())
    if farthest > _MAX_FRACTION:
        raise CrystalError(UNREADABLE, f"fractional coordinate {farthest:.4g} (Å instead?)")
    return frac if farthest <= _FAR else frac - np.floor(frac)


def _closest_pair_below(crystal: CrystalArrays, limit: float) -> float | None:
    """Smallest distance in Å below `limit`, periodic images included; None where there is none."""
    points = np.ascontiguousarray(crystal.frac @ crystal.lattice)
    first, second, image, length = find_points_in_spheres(
        points,
        points,
        r=limit,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(crystal.lattice),
        tol=1e-8,
    )
    # Each point also finds itself in the home cell; a duplicate of it is another point.
    other = (first != second) | (image != 0).any(axis=1)
    near = length[other & (length < limit)]
    return float(near.min()) if len(near) else None


def _kind(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nothing"
    return type(value).__name__


def _cause(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
