"""What kind of quantity a target is, which decides how a model answers and is scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foldwise.common.errors import FoldwiseError

_ENERGY_PER_ATOM = re.compile(r"(?:m|k)?(?:eV|Ry|Ha|J|cal)/(?:atom|mol atoms?)")
_EXTENSIVE = re.compile(r"(?:m|k)?(?:eV|Ry|Ha|J)")
_GROWS = 0.9  # correlation with the number of atoms above which a target is a sum over them


class TargetKind(NamedTuple):
    """How a target is treated.

    Attributes:
        name: "energy per atom" or "number".
        intensive: Whether it does not grow with the cell.
        transform: `transform` of the dataset in the study file.
        why: The reason, for the study file.
    """

    name: str
    intensive: bool
    transform: str
    why: str


def target_kind(
    target: str, unit: str, values: Sequence[float], n_atoms: Sequence[int]
) -> TargetKind:
    """Decide the kind from the unit and the values.

    Args:
        target: Name of the column.
        unit: Its unit.
        values: Targets of the accepted rows.
        n_atoms: Atoms of their cells.

    Raises:
        FoldwiseError: The values are classes, all equal, or a sum over the cell's atoms.
    """
    different = set(values)
    if len(different) == 1:
        raise FoldwiseError(
            f"all {len(values)} targets are {values[0]:g}",
            where=target,
            hint="There is nothing to learn: check the column.",
        )
    if different == {0.0, 1.0}:
        raise FoldwiseError(
            "its values are 0 and 1 alone, and the networks here predict numbers",
            where=target,
            hint="Give the quantity behind the class (the gap for is_metal).",
        )
    if _ENERGY_PER_ATOM.fullmatch(unit):
        return TargetKind(
            "energy per atom",
            intensive=True,
            transform="element_reference",
            why="an energy per atom: a linear model of the composition is fitted first",
        )
    if _EXTENSIVE.fullmatch(unit) and _grows(values, n_atoms):
        raise FoldwiseError(
            f"it grows with the number of atoms (correlation {_correlation(values, n_atoms):.2f}), "
            "and a network's answer is a mean over atoms",
            where=target,
            hint=f"Divide by the number of atoms and give --unit {unit}/atom.",
        )
    return TargetKind(
        "number",
        intensive=True,
        transform="standardize",
        why="not an energy per atom: mean 0 and standard deviation 1 over the training rows",
    )


def _grows(values: Sequence[float], n_atoms: Sequence[int]) -> bool:
    return len(set(n_atoms)) > 2 and _correlation(values, n_atoms) > _GROWS


def _correlation(values: Sequence[float], n_atoms: Sequence[int]) -> float:
    return float(np.corrcoef(np.abs(values), n_atoms)[0, 1])
