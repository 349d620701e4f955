"""Copies of crystals, displaced, strained and with other elements, for teachers to label."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.files import read_structures, write_structures
from foldwise.crystals.names import copy_id
from foldwise.crystals.neighbors import CrystalArrays

MAX_DISPLACEMENT = 0.1  # Å; farther would leave the range in which the energy is near-harmonic
CANDIDATES = 6  # elements that may take the place of one
_VOLUME_RATIO = (0.5, 2.0)  # of a copy to its crystal; beyond, bonds would be absurd

_WITHOUT_VOLUME = {85: 26.0, 87: 71.0}  # At and Fr, which pymatgen has no volume for: as I and Cs


@dataclass(frozen=True)
class Perturbation:
    """How copies differ from their crystal.

    Attributes:
        copies: Copies per crystal.
        displacement: Standard deviation of each Cartesian coordinate, Å.
        strain: Standard deviation of each component of the symmetric strain.
        substitution: Probability that an element of the crystal is replaced by one of the
            `CANDIDATES` that stand nearest to it on Pettifor's scale.
    """

    copies: int
    displacement: float
    strain: float
    substitution: float = 0.0


def perturb(
    crystal: CrystalArrays,
    crystal_id: str,
    copy: int,
    how: Perturbation,
    elements: Collection[int] = (),
) -> CrystalArrays:
    """Copy number `copy`: the same arguments give the same copy everywhere.

    Args:
        crystal: What is copied.
        crystal_id: Its id.
        copy: Number of the copy.
        how: Strengths.
        elements: Atomic numbers that may be substituted for others.
    """
    digest = hashlib.sha256(copy_id(crystal_id, copy).encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    random = generator.standard_normal((3, 3)) * how.strain
    lattice = crystal.lattice @ (np.eye(3) + (random + random.T) / 2)
    moves = generator.standard_normal(crystal.frac.shape) * how.displacement
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    moves *= np.minimum(1.0, MAX_DISPLACEMENT / np.maximum(length, 1e-12))
    frac = crystal.frac + moves @ np.linalg.inv(lattice)
    if how.substitution == 0:
        return CrystalArrays(crystal.numbers, frac, lattice)
    numbers = _substituted(crystal.numbers, how.substitution, sorted(elements), generator)
    ratio = _elemental_volume(numbers) / _elemental_volume(crystal.numbers)
    return CrystalArrays(numbers, frac, lattice * np.clip(ratio, *_VOLUME_RATIO) ** (1 / 3))


def _substituted(
    numbers: NDArray[np.int32],
    probability: float,
    elements: list[int],
    generator: np.random.Generator,
) -> NDArray[np.int32]:
    """Atomic numbers of a copy; no element takes the place of two."""
    result = numbers.copy()
    taken = set(numbers.tolist())
    for number in sorted(taken):
        chance, choice = generator.random(2)
        scale = _pettifor(number)
        nearest = sorted(set(elements) - taken, key=lambda other: abs(_pettifor(other) - scale))
        nearest = nearest[:CANDIDATES]
        if chance < probability and nearest:
            chosen = nearest[int(choice * len(nearest))]
            result[numbers == number] = chosen
            taken.add(chosen)
    return result


@cache
def _pettifor(number: int) -> float:
    """Place of an element on Pettifor's chemical scale (Solid State Commun. 51, 31, 1984)."""
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415 (a quarter of a second, in every training)

    return float(Element.from_Z(number).mendeleev_no)


@cache
def _molar_volume(number: int) -> float:
    """Of the pure element, cm³/mol."""
    if number in _WITHOUT_VOLUME:
        return _WITHOUT_VOLUME[number]
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415 (a quarter of a second, in every training)

    return float(Element.from_Z(number).molar_volume)


def _elemental_volume(numbers: NDArray[np.int32]) -> float:
    return sum(_molar_volume(int(number)) for number in numbers)


def write_copies(
    structures: str | os.PathLike[str],
    crystal_ids: Collection[str],
    how: Perturbation,
    out: str | os.PathLike[str],
) -> None:
    """Write a `structures.npz` with `how.copies` copies of crystals, ids as of `copy_id`.

    Args:
        structures: The task's `structures.npz`.
        crystal_ids: Crystals to copy: a fold's training rows. Only elements that these hold are
            substituted for others.
        how: Number and strengths.
        out: The file.

    Raises:
        FoldwiseError: The file is missing or truncated, or holds none of these crystals.
    """
    wanted = set(crystal_ids)
    chosen = [
        (crystal_id, crystal)
        for crystal_id, crystal in zip(*read_structures(structures), strict=True)
        if crystal_id in wanted
    ]
    if not chosen:
        raise FoldwiseError(
            "it holds none of the fold's training rows",
            where=str(structures),
            hint="Make structures and splits from the same dataset.",
        )
    elements = {int(number) for _, crystal in chosen for number in crystal.numbers}
    names, copied = [], []
    for crystal_id, crystal in chosen:
        for copy in range(how.copies):
            names.append(copy_id(crystal_id, copy))
            copied.append(perturb(crystal, crystal_id, copy, how, elements))
    write_structures(out, names, copied)
