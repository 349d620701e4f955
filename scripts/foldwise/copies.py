"""Perturbed copies of crystals, as new structures for teachers to label."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from foldwise.neighbors import CrystalArrays
from foldwise.structures import read_structures, write_structures

MAX_DISPLACEMENT = 0.1  # Å; farther would leave the range in which the energy is near-harmonic


@dataclass(frozen=True)
class Perturbation:
    """How copies differ from their crystal.

    Attributes:
        copies: Copies per crystal.
        displacement: Standard deviation of each Cartesian coordinate, Å.
        strain: Standard deviation of each component of the symmetric strain.
    """

    copies: int
    displacement: float
    strain: float


def perturb(crystal: CrystalArrays, crystal_id: str, copy: int, how: Perturbation) -> CrystalArrays:
    """Copy number `copy`: the same id, number and strengths give the same copy everywhere."""
    digest = hashlib.sha256(f"{crystal_id}#{copy}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    random = generator.standard_normal((3, 3)) * how.strain
    lattice = crystal.lattice @ (np.eye(3) + (random + random.T) / 2)
    moves = generator.standard_normal(crystal.frac.shape) * how.displacement
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    moves *= np.minimum(1.0, MAX_DISPLACEMENT / np.maximum(length, 1e-12))
    return CrystalArrays(crystal.numbers, crystal.frac + moves @ np.linalg.inv(lattice), lattice)


def write_copies(
    structures: str | os.PathLike[str], how: Perturbation, out: str | os.PathLike[str]
) -> None:
    """Write a `structures.npz` with `how.copies` copies of every crystal, ids `{id}#{copy}`."""
    ids, crystals = read_structures(structures)
    names, copied = [], []
    for crystal_id, crystal in zip(ids, crystals, strict=True):
        for copy in range(how.copies):
            names.append(f"{crystal_id}#{copy}")
            copied.append(perturb(crystal, crystal_id, copy, how))
    write_structures(out, names, copied)
