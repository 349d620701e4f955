"""Settings of the booster that combines recorded teachers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BoosterOptions:
    """Settings of the booster.

    Attributes:
        iterations: Trees.
        learning_rate: Shrinkage of each tree.
        leaves: Leaves per tree at most.
        rows_per_leaf: Rows per leaf at least.
        composition: Also give it statistics of the elements.
    """

    iterations: int = 400
    learning_rate: float = 0.05
    leaves: int = 31
    rows_per_leaf: int = 50
    composition: bool = False
