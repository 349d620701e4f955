"""How often a training passes crystals through its network, and controls with as many passes.

One pass is one crystal, copy or view that is fitted once. A recipe with `passes_of` takes its
epochs from the experiments that it names, so that a control cannot fall behind what it controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import TypeVar

from foldwise.common.errors import FoldwiseError
from foldwise.study.kinds import AnyRecipe
from foldwise.study.recipe import Recipe
from foldwise.study.study import Experiment

T = TypeVar("T")


def passes_per_epoch(recipe: AnyRecipe, copies: int) -> int:
    """Passes per row to fit and epoch: copies and second views count as rows of their own.

    Args:
        recipe: How the model is trained.
        copies: Copies of each crystal, for soft targets of kind `augmented`.
    """
    if not isinstance(recipe, Recipe):
        return 0
    augmented = recipe.teacher is not None and recipe.teacher.targets == "augmented"
    return (1 + copies if augmented else 1) * recipe.views_per_row


def with_derived_epochs(
    recipes: Mapping[str, AnyRecipe],
    passes_of: Mapping[str, tuple[str, ...]],
    experiments: Mapping[str, Experiment],
    copies: int,
) -> dict[str, AnyRecipe]:
    """The recipes, those of `passes_of` with as many passes as the experiments named there.

    The epochs are those of all models of the experiments of one fold together, rounded up to whole
    epochs, and so are the steps where these models are bounded by steps; the patience keeps its
    share of the epochs.

    Args:
        recipes: All recipes of the study.
        passes_of: Experiments by the recipe that takes its passes from them.
        experiments: Experiments of trained models of the study.
        copies: Copies of each crystal.

    Raises:
        FoldwiseError: An experiment does not exist, has a joint pretraining, whose rows are not
            known before it runs, takes its own passes from the recipe, or is bounded by steps
            where another is not.
    """

    def derived(name: str, asking: tuple[str, ...] = ()) -> AnyRecipe:
        recipe, where = recipes[name], f"recipes.{name}.passes_of"
        if name not in passes_of or not isinstance(recipe, Recipe):
            return recipe
        if name in asking:
            raise FoldwiseError(
                "it takes its passes from itself", where=where, hint="Give one of them epochs."
            )
        total, rows_of_steps, bounded = 0, 0, set()
        for other in passes_of[name]:
            experiment = _named(other, experiments, where)
            _named(experiment.recipe, recipes, f"experiments.{other}.recipe")
            model = derived(experiment.recipe, (*asking, name))
            model = _countable(model, other, where)
            passes = len(experiment.seeds) * passes_per_epoch(model, copies)
            total += passes * model.epochs
            rows_of_steps += passes * (model.steps or 0) * model.batch_size
            bounded.add(model.steps is not None)
        if len(bounded) > 1:
            raise FoldwiseError(
                "some of their recipes have steps and others have none",
                where=where,
                hint="Give all of them steps, or none.",
            )
        own = passes_per_epoch(recipe, copies)
        epochs = ceil(total / own)
        steps = ceil(rows_of_steps / (own * recipe.batch_size)) or None
        patience = max(1, round(recipe.patience * epochs / recipe.epochs))
        return replace(recipe, epochs=epochs, patience=patience, steps=steps)

    return {name: derived(name) for name in recipes}


def _named(name: str, known: Mapping[str, T], where: str) -> T:
    if name not in known:
        raise FoldwiseError(
            f"unknown name {name!r}", where=where, hint=f"Allowed: {', '.join(known)}."
        )
    return known[name]


def _countable(recipe: AnyRecipe, experiment: str, where: str) -> Recipe:
    if not isinstance(recipe, Recipe):
        raise FoldwiseError(
            f"the models of {experiment} are not trained in passes here",
            where=where,
            hint="Name experiments of this project's network.",
        )
    if recipe.pretrain is not None:
        raise FoldwiseError(
            f"{experiment} begins with a joint pretraining, whose rows are not known beforehand",
            where=where,
            hint="Name experiments without one.",
        )
    return recipe
