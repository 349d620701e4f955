"""What a model was trained on, and how far a new crystal lies from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from foldwise.network.transform import N_ELEMENTS

FAR_QUANTILE = 0.99
_CHUNK = 1024  # new compositions compared with all known ones at a time


@dataclass(frozen=True)
class Domain:
    """Crystals that a model was trained on.

    Attributes:
        formulas: Their reduced formulas, each once.
        min_atoms: Atoms in the smallest cell.
        max_atoms: Atoms in the largest.
        far: Distance in composition beyond which a crystal is called far: `FAR_QUANTILE` of the
            rows that a member held out lie nearer to a row that it was fitted to.
    """

    formulas: tuple[str, ...]
    min_atoms: int
    max_atoms: int
    far: float

    @cached_property
    def fractions(self) -> NDArray[np.float64]:
        """Atomic fractions of the known compositions, [n, 94]."""
        return fractions_of(self.formulas)

    @cached_property
    def elements(self) -> frozenset[int]:
        """Atomic numbers of the elements that were seen."""
        return frozenset((np.flatnonzero(self.fractions.any(axis=0)) + 1).tolist())

    def warnings(self, atoms: NDArray[np.int64], fractions: NDArray[np.float64]) -> list[str]:
        """What is unlike the training crystals in each new one, empty where nothing is.

        Args:
            atoms: Atoms per cell, [n].
            fractions: Atomic fractions, [n, 94].
        """
        nearest, distance = nearest_rows(fractions, self.fractions)
        return [
            "; ".join(
                (
                    *self._elements(row),
                    *self._size(int(size)),
                    *self._composition(self.formulas[known], float(apart)),
                )
            )
            for row, size, known, apart in zip(fractions, atoms, nearest, distance, strict=True)
        ]

    def _elements(self, row: NDArray[np.float64]) -> list[str]:
        new = [number for number in (np.flatnonzero(row) + 1) if number not in self.elements]
        if not new:
            return []
        names = " ".join(Element.from_Z(int(number)).symbol for number in new)
        return [f"no training crystal has {names}"]

    def _size(self, atoms: int) -> list[str]:
        if self.min_atoms <= atoms <= self.max_atoms:
            return []
        return [f"{atoms} atoms per cell, training crystals have {self.min_atoms} to "
                f"{self.max_atoms}"]  # fmt: skip

    def _composition(self, nearest: str, distance: float) -> list[str]:
        if distance <= self.far:
            return []
        return [
            f"composition far from training (distance {distance:.2f} to {nearest}, usual is up to "
            f"{self.far:.2f})"
        ]


def fractions_of(formulas: Sequence[str]) -> NDArray[np.float64]:
    """Atomic fractions of formulas, [n, 94], hydrogen first."""
    table = np.zeros((len(formulas), N_ELEMENTS))
    with warnings.catch_warnings():
        # Light noble gases have no electronegativity; pymatgen says so.
        warnings.simplefilter("ignore", UserWarning)
        for row, formula in enumerate(formulas):
            for element, amount in Composition(formula).items():
                table[row, element.Z - 1] = amount
    fractions: NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return fractions


def nearest_rows(
    new: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest known composition of each new one, and the Euclidean distance between fractions."""
    nearest = np.empty(len(new), dtype=np.int64)
    half = (known**2).sum(axis=1) / 2
    for start in range(0, len(new), _CHUNK):
        part = slice(start, start + _CHUNK)
        nearest[part] = np.argmin(half - new[part] @ known.T, axis=1)
    return nearest, np.linalg.norm(new - known[nearest], axis=1)


def far_distance(held_out: Sequence[str], fitted: Sequence[str]) -> float:
    """Distance below which `FAR_QUANTILE` of the held-out rows have a fitted one.

    Args:
        held_out: Formula of every held-out row.
        fitted: Formulas that the same model was fitted to.
    """
    _, distance = nearest_rows(fractions_of(held_out), fractions_of(sorted(set(fitted))))
    return float(np.quantile(distance, FAR_QUANTILE))
