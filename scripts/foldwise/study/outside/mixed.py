"""An experiment whose members are models of several recipes, combined by one rule.

A rule that is fitted sees what the members answer for training rows of the same fold that they
held out, and their targets: no test label, and no member that was trained on another fold's test
rows. Seeds of one recipe answer as their mean, so that a weight is one of a recipe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, DIFFERENT, Whole
from foldwise.submissions.settings import FITTED_RULES, BoosterOptions


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class MemberSet:
    """Models of one recipe among the members."""

    recipe: str = Field(description="recipe of the models, of any kind")
    seeds: Annotated[
        tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1, max_length=50), *DIFFERENT
    ] = Field(description="one model per seed; they answer as their mean")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenMixed:
    """An experiment of mixed members, as a study writes it."""

    members: Annotated[tuple[MemberSet, ...], Field(min_length=2, max_length=20)] = Field(
        description="recipes and their seeds"
    )
    combine: Literal["mean", "median", "stacked", "boosted"] = Field(
        description="`mean` or `median` of the recipes' answers, weights of the recipes on the "
        "simplex (`stacked`), or a gradient booster; the last two are fitted on rows of the same "
        "fold that the models held out"
    )
    booster: BoosterOptions | None = Field(
        default=None, description="settings of the booster, for `combine: boosted`"
    )
    title: str = Field(description="a few words for tables and figures")
    purpose: str = Field(description="the question that it answers")
    compare_with: tuple[str, ...] = Field(default=(), description="experiments of the same study")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Mixed(WrittenMixed):
    """An experiment of mixed members and its name, the folder below `results/`."""

    name: str

    @property
    def models(self) -> list[tuple[str, int]]:
        """Recipe and seed of every member, as the config orders them."""
        return [(part.recipe, seed) for part in self.members for seed in part.seeds]

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of the members."""
        return tuple(sorted({seed for _, seed in self.models}))

    @property
    def recipes(self) -> list[str]:
        """Recipes of the members."""
        return [part.recipe for part in self.members]

    def resolved(self) -> dict[str, Any]:
        """What `Study.resolved` says of it beside what all experiments share and its recipes."""
        return {
            "experiment": self.name,
            "title": self.title,
            "purpose": self.purpose,
            "recipe_name": self.combine,
            "seeds": [],
            "tta": 1,
            "parents": list(self.compare_with),
        }


def parse_mixed(experiments: Mapping[str, Any]) -> dict[str, Mixed]:
    """The mixed experiments among declared ones, by name.

    Raises:
        FoldwiseError: A recipe stands there twice, or settings of a booster without one.
    """
    found = {}
    for name, written in experiments.items():
        if not isinstance(written, WrittenMixed):
            continue
        where = f"experiments.{name}"
        mixed = Mixed(name=name, **vars(written))
        twice = [one for one in mixed.recipes if mixed.recipes.count(one) > 1]
        if twice:
            raise FoldwiseError(
                f"recipe {twice[0]!r} is named twice",
                where=f"{where}.members",
                hint="Name it once, with all its seeds.",
            )
        if mixed.combine == "boosted":
            mixed = dataclasses.replace(mixed, booster=mixed.booster or BoosterOptions())
        elif mixed.booster is not None:
            raise FoldwiseError(
                f"settings of a booster belong to combine: boosted, not to {mixed.combine}",
                where=f"{where}.booster",
                hint="Take them out, or change combine.",
            )
        found[name] = mixed
    return found


def check_common_holdout(mixed: Mixed, holdouts: Mapping[tuple[str, int], int]) -> None:
    """Check that a fitted rule has rows: some that a model of every recipe has held out.

    Args:
        mixed: The experiment.
        holdouts: Number of the hold-out by recipe and seed.

    Raises:
        FoldwiseError: There is no such row.
    """
    if mixed.combine not in FITTED_RULES:
        return
    parts = [{holdouts[part.recipe, seed] for seed in part.seeds} for part in mixed.members]
    if not set.intersection(*parts):
        raise FoldwiseError(
            "no training row was held out by a model of every recipe, so nothing is left to fit "
            f"{mixed.combine} on",
            where=f"experiments.{mixed.name}.members",
            hint="Give the recipes a seed in common.",
        )


def booster_options(mixed: Mixed) -> dict[str, Any] | None:
    """Settings of the booster as plain values; `None` without one."""
    return asdict(mixed.booster) if mixed.booster else None
