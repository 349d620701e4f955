"""A search for the soft weight of a student: one candidate recipe per weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foldwise.common.errors import FoldwiseError
from foldwise.study.kinds import AnyRecipe
from foldwise.study.recipe import Recipe


def candidates(name: str, recipe: AnyRecipe, weights: Sequence[float]) -> dict[str, Recipe]:
    """The recipe with each of the weights, by name: `{name}_soft_025` for a weight of 0.25.

    Raises:
        FoldwiseError: The recipe has no row with both a label and a soft target to weigh.
    """
    teacher = recipe.teacher
    if not isinstance(recipe, Recipe) or teacher is None or teacher.targets == "augmented":
        raise FoldwiseError(
            "it weighs a row's soft target against its label, and no row has both",
            where=f"recipes.{name}.soft_weights",
            hint="Take it out, or give it a teacher with targets: crossfit or in_sample.",
        )
    return {
        f"{name}_soft_{round(100 * weight):03d}": replace(
            recipe, teacher=replace(teacher, soft_weight=weight)
        )
        for weight in weights
    }


def with_candidates(
    recipes: Mapping[str, AnyRecipe], searched: Mapping[str, Sequence[float]]
) -> tuple[dict[str, AnyRecipe], dict[str, list[str]]]:
    """All recipes, candidates among them, and the names of the candidates by searched recipe.

    Args:
        recipes: Recipes of the study.
        searched: Weights to try, by recipe.
    """
    added: dict[str, dict[str, AnyRecipe]] = {
        name: {**candidates(name, recipes[name], weights)} for name, weights in searched.items()
    }
    together = dict(recipes)
    for group in added.values():
        together |= group
    return together, {name: list(group) for name, group in added.items()}
