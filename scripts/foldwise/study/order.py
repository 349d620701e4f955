"""The order of experiments: the least training first, each finished before the next."""

from __future__ import annotations

from foldwise.study.study import Study

STEP = 10
"""Between the priorities of two experiments."""


def models_of(study: Study, experiment: str) -> set[tuple[str, int]]:
    """Recipe and seed of every model that an experiment, its teachers or its parents need."""
    models: set[tuple[str, int]] = set()
    for parent in study.resolved(experiment)["parents"]:
        models |= models_of(study, parent)
    own = set(study.own_models(experiment))  # of recorded predictions none: they train nothing
    for recipe in {recipe for recipe, _ in own}:
        teachers = study.teacher_experiment(recipe)
        own |= models_of(study, teachers.name) if teachers else set()
    return models | own


def experiment_order(study: Study) -> list[str]:
    """Experiments by rising number of training epochs that they need; equal ones as configured."""
    return sorted(
        study.names,
        key=lambda name: sum(study.recipes[recipe].epochs for recipe, _ in models_of(study, name)),
    )


def model_priorities(study: Study) -> dict[tuple[str, int], int]:
    """Priority of each model by recipe and seed: that of the first experiment that needs it."""
    priorities: dict[tuple[str, int], int] = {}
    for name, priority in experiment_priorities(study).items():
        for model in models_of(study, name):
            priorities[model] = max(priority, priorities.get(model, 0))
    return priorities


def experiment_priorities(study: Study) -> dict[str, int]:
    """Priority of each experiment's own jobs; a job of no experiment goes before all (`first`)."""
    order = experiment_order(study)
    return {name: STEP * (len(order) - place) for place, name in enumerate(order)}


def first(study: Study) -> int:
    """Priority of the jobs that all experiments wait for."""
    return STEP * (len(study.names) + 1)
