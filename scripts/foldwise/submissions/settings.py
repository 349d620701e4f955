"""The rules that combine models, by name, and the settings of the booster among them."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.settings import CLOSED, Number, Switch, Whole

RULES = ("mean", "median", "stacked", "boosted")
FITTED_RULES = ("stacked", "boosted")


@dataclass(frozen=True, config=CLOSED)
class BoosterOptions:
    """Settings of the booster."""

    iterations: Whole = Field(default=400, ge=1, le=100_000, description="trees")
    learning_rate: Number = Field(default=0.05, gt=0, le=1, description="shrinkage of each tree")
    leaves: Whole = Field(default=31, ge=2, le=4096, description="leaves per tree at most")
    rows_per_leaf: Whole = Field(default=50, ge=1, description="rows per leaf at least")
    composition: Switch = Field(
        default=False, description="also give it statistics of the elements"
    )
