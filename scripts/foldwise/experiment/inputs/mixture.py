"""How models of several recipes were combined, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

Json = dict[str, Any]


@dataclass(frozen=True)
class Mixture:
    """How models of several recipes were combined.

    Attributes:
        done: What `combine_mixed.py` did, by fold.
        held_out: By fold, mean and std of rows that a model of every recipe held out, by id.
        without: By fold, the answers for test rows without each recipe, one column per recipe.
    """

    done: Mapping[int, Json]
    held_out: Mapping[int, pd.DataFrame]
    without: Mapping[int, pd.DataFrame]

    @property
    def first(self) -> Json:
        """What was done for the first fold."""
        return self.done[min(self.done)]

    @property
    def recipes(self) -> list[str]:
        """Recipes whose models answer."""
        return [str(name) for name in self.first["recipes"]]

    @property
    def left_out(self) -> list[Json]:
        """Members that failed: recipe, seed, reason."""
        return list(self.first["left_out"])
