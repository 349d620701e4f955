"""What kind of quantity a target is, which decides how a model answers and is scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.own.values import CLASS

NETWORK_UNIT = "eV/atom"  # of the pretrained network: only there its own answer can be kept
_EXTENSIVE = re.compile(r"(?:m|k)?(?:eV|Ry|Ha|J)")
_GROWS = 0.9  # correlation with the number of atoms above which a target is a sum over them


class TargetKind(NamedTuple):
    """How a target is treated.

    Attributes:
        name: "energy per atom", "sum over atoms", "class" or "number".
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
        FoldwiseError: The values are all equal, or the unit is that of classes and they are not 0
            and 1.
    """
    different = set(values)
    if len(different) == 1:
        raise FoldwiseError(
            f"all {len(values)} targets are {values[0]:g}",
            where=target,
            hint="There is nothing to learn: check the column.",
        )
    if unit == CLASS and different != {0.0, 1.0}:
        few = ", ".join(f"{value:g}" for value in sorted(different)[:5])
        raise FoldwiseError(
            f"the unit is {CLASS}, and the targets are {few}{', …' if len(different) > 5 else ''}",
            where=target,
            hint="Write the two classes as 0 and 1, or as false and true; of more classes none can "
            "be predicted. If they are numbers, give their unit.",
        )
    if different == {0.0, 1.0}:
        return TargetKind(
            "class",
            intensive=True,
            transform="logistic",
            why="0 and 1 alone, so a class: predictions are probabilities of 1, scored by ROC-AUC",
        )
    if unit == NETWORK_UNIT:
        return TargetKind(
            "energy per atom",
            intensive=True,
            transform="element_reference",
            why="an energy per atom: a linear model of the composition is fitted first",
        )
    if _EXTENSIVE.fullmatch(unit) and _grows(values, n_atoms):
        return TargetKind(
            "sum over atoms",
            intensive=False,
            transform="auto",
            why="the network answers a share per atom, and each fold's training rows choose its "
            "scale; the target grows with the number of atoms (correlation "
            f"{_correlation(values, n_atoms):.2f})",
        )
    return TargetKind(
        "number",
        intensive=True,
        transform="auto",
        why="each fold's training rows choose: logarithm, range and scale; README.txt of a result "
        "says which, and why",
    )


def _grows(values: Sequence[float], n_atoms: Sequence[int]) -> bool:
    return len(set(n_atoms)) > 2 and _correlation(values, n_atoms) > _GROWS


def _correlation(values: Sequence[float], n_atoms: Sequence[int]) -> float:
    return float(np.corrcoef(np.abs(values), n_atoms)[0, 1])
