"""Examples of few-shot prompts: fitted rows that are near in composition.

Rows come in sets, each a row that is far from the others' with its nearest neighbours, and a
question gets the nearest set. Questions of one set then share their whole beginning, which is
computed once. Nothing is asked of the other questions, nor of any target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.neighbors import CrystalArrays

ELEMENTS = 119

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A fitted row that may be an example.

    Attributes:
        id: Its id.
        formula: Its reduced formula; a question of the same formula never sees it.
        shares: Fractions of its atoms by atomic number, shape [119].
    """

    id: str
    formula: str
    shares: Floats


def element_shares(crystal: CrystalArrays) -> Floats:
    """Fraction of the atoms by atomic number, shape [119]."""
    counts = np.bincount(crystal.numbers, minlength=ELEMENTS).astype(np.float64)
    shares: Floats = counts / counts.sum()
    return shares


def composition_distance(one: Floats, others: Floats) -> Floats:
    """Half the sum of absolute differences of element fractions: 0 for equal, 1 for disjoint ones.

    Args:
        one: Shape [119].
        others: Shape [n, 119].

    Returns:
        Shape [n].
    """
    distance: Floats = 0.5 * np.abs(others - one).sum(axis=1)
    return distance


class ExampleSets:
    """Chooses the examples of every question.

    Args:
        candidates: Fitted rows, in the order of the split.
        shots: Examples of a question.
        sets: Number of sets; 0 for one of its own for every question.

    Raises:
        FoldwiseError: There are too few fitted rows.
    """

    def __init__(self, candidates: Sequence[Candidate], shots: int, sets: int) -> None:
        if len(candidates) < shots + 1:
            raise FoldwiseError(
                f"{len(candidates)} fitted rows are too few for {shots} examples",
                where="shots",
                hint="Take fewer examples.",
            )
        self._candidates, self._shots = list(candidates), shots
        self._shares = np.stack([candidate.shares for candidate in candidates])
        self._sets = [
            self._nearest(candidates[anchor].shares, "")
            for anchor in _spread(self._shares, min(sets, len(candidates)))
        ]
        self._centres = [self._shares[members].mean(axis=0) for members in self._sets]

    def of(self, formula: str, shares: Floats) -> list[str]:
        """Ids of the examples for a question, the nearest last; none has its formula.

        Args:
            formula: Reduced formula of the question.
            shares: Its element fractions.

        Raises:
            FoldwiseError: Too few fitted rows have another formula.
        """
        allowed = [
            number
            for number, members in enumerate(self._sets)
            if all(self._candidates[member].formula != formula for member in members)
        ]
        if allowed:
            centres = np.stack([self._centres[number] for number in allowed])
            members = self._sets[allowed[int(composition_distance(shares, centres).argmin())]]
        else:
            members = self._nearest(shares, formula)
        return [self._candidates[member].id for member in members]

    def _nearest(self, shares: Floats, formula: str) -> list[int]:
        """Rows by falling distance, each formula once, the given one never."""
        order = np.argsort(composition_distance(shares, self._shares), kind="stable")
        chosen: list[int] = []
        seen = {formula}
        for row in order.tolist():
            if self._candidates[row].formula not in seen:
                seen.add(self._candidates[row].formula)
                chosen.append(row)
            if len(chosen) == self._shots:
                return chosen[::-1]
        raise FoldwiseError(
            f"fitted rows have too few formulas for {self._shots} examples",
            where="shots",
            hint="Take fewer examples.",
        )


def _spread(shares: Floats, count: int) -> list[int]:
    """Rows far from each other: each next one is the farthest from those before (Gonzalez 1985)."""
    if count == 0:
        return []
    chosen = [int(composition_distance(shares.mean(axis=0), shares).argmin())]
    nearest = composition_distance(shares[chosen[0]], shares)
    while len(chosen) < count:
        farthest = int(nearest.argmax())
        if nearest[farthest] <= 0:
            break
        chosen.append(farthest)
        nearest = np.minimum(nearest, composition_distance(shares[farthest], shares))
    return chosen
