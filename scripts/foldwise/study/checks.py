"""Whether the parts of a study fit together: names, teachers, hold-outs, units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.study.outside.mixed import Mixed, check_common_holdout
from foldwise.study.outside.own_predictions import (
    PREDICTIONS,
    PredictionsRecipe,
    check_predictions,
)
from foldwise.study.recipe import Recipe, Teacher
from foldwise.study.study import Study
from foldwise.tasks.cuts.rule import WITH_TABLE

RESERVED = frozenset(
    {
        "bench", "benchmarks", "cluster_test", "combined", "configs", "data", "ensembles",
        "experiments", "gates", "joint", "logs", "members", "mlflow", "mlm", "models",
        "predictions", "runs", "searches", "site", "speed", "splits", "structures", "submissions",
        "teachers",
    }
)  # fmt: skip
"""Folders next to those of the experiments."""


def check_names(study: Study) -> None:
    """Check that every name in a study exists, and that what they name goes together.

    Raises:
        FoldwiseError: A name does not exist, or two settings contradict each other.
    """
    _check_folders(study)
    if study.folds[-1] >= study.splits["folds"]:
        raise FoldwiseError(
            f"there is no fold {study.folds[-1]}",
            where="splits.only",
            hint=f"Allowed: 0 to {study.splits['folds'] - 1}.",
        )
    _check_splits(study)
    dataset = study.datasets[study.task]
    if not dataset["intensive"] and dataset.get("transform") == "logistic":
        raise FoldwiseError(
            "a class is no sum over the atoms of the cell",
            where=f"datasets.{study.task}.intensive",
            hint="Set it to true.",
        )
    known = dict.fromkeys(study.names)
    for name, combination in study.recorded.combinations.items():
        for other in combination.compare_with:
            check_known(other, known, f"experiments.{name}.compare_with")
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        check_known(experiment.recipe, study.recipes, f"{where}.recipe")
        for other in experiment.compare_with:
            check_known(other, known, f"{where}.compare_with")
        if len(set(experiment.seeds)) < len(experiment.seeds):
            raise FoldwiseError(
                "a seed is named twice", where=f"{where}.seeds", hint="Name each seed once."
            )
    for mixed in study.mixed.values():
        _check_mixed(study, mixed, known)
    for name in _used_recipes(study):
        recipe = study.recipes[name]
        if isinstance(recipe, PredictionsRecipe):
            check_predictions(recipe, study.folds, study.seeds_of(name), f"recipes.{name}")
        _check_units(study, name)
        _check_pretraining(study, name)
    for name, recipe in study.recipes.items():
        if recipe.teacher is not None:
            where = f"recipes.{name}.teacher"
            check_known(recipe.teacher.ensemble, known, f"{where}.ensemble")
            _check_recorded(study, recipe.teacher, where)
            _check_teachers(study, name, where)


def _check_folders(study: Study) -> None:
    """An experiment's folder is its own, and no path is taken for a pattern by Snakemake."""
    for name in study.names:
        if name in RESERVED:
            raise FoldwiseError(
                "a study's folder of results has a folder of this name",
                where=f"experiments.{name}",
                hint="Give the experiment another name.",
            )
    if study.run in RESERVED:
        raise FoldwiseError(
            f"the folder results/{study.run} has another use", where="run", hint="Rename the study."
        )
    for where, path in _paths_of(study):
        if "{" in path or "}" in path:
            raise FoldwiseError(
                f"{path} has braces, which Snakemake takes for a wildcard",
                where=where,
                hint="Rename the file or its folder.",
            )


def _paths_of(study: Study) -> Iterator[tuple[str, str]]:
    for task, dataset in study.datasets.items():
        yield f"datasets.{task}.path", str(dataset.get("path") or "")
    yield "splits.table", str(study.splits.get("table") or "")
    for name, recipe in study.recipes.items():
        if isinstance(recipe, PredictionsRecipe):
            yield f"recipes.{name}.path", str(recipe.file(0, 0))


def _used_recipes(study: Study) -> list[str]:
    """Recipes whose models answer in an experiment."""
    return list(
        dict.fromkeys(recipe for name in study.names for recipe, _ in study.own_models(name))
    )


def _check_mixed(study: Study, mixed: Mixed, known: Mapping[str, Any]) -> None:
    where = f"experiments.{mixed.name}"
    for other in mixed.compare_with:
        check_known(other, known, f"{where}.compare_with")
    for recipe in mixed.recipes:
        check_known(recipe, study.recipes, f"{where}.members")
        if study.recipes[recipe].teacher is not None:
            raise FoldwiseError(
                f"recipe {recipe!r} is a student's",
                where=f"{where}.members",
                hint="Name recipes without a teacher.",
            )
    check_common_holdout(mixed, {model: study.holdout(*model) for model in mixed.models})


def _check_splits(study: Study) -> None:
    kind, named = study.splits.get("kind"), [k for k in ("table", "column") if k in study.splits]
    needs = kind in WITH_TABLE
    if needs and len(named) < 2:
        raise FoldwiseError(
            f"kind {kind!r} needs a table and a column",
            where="splits",
            hint="Add table: a CSV or Parquet file with id, and column: one of its columns.",
        )
    if named and not needs:
        raise FoldwiseError(
            f"{f'kind {kind!r}' if kind else 'the default kind'} takes no {named[0]}",
            where=f"splits.{named[0]}",
            hint=f"Leave it out, or take one of the kinds {', '.join(WITH_TABLE)}.",
        )
    if study.recorded.combinations and kind not in (None, "official"):
        raise FoldwiseError(
            f"recorded teachers were trained on the published folds, not on folds by {kind!r}",
            where="splits.kind",
            hint="Leave it out.",
        )
    if study.splits["folds"] < 2 and kind != "file":
        raise FoldwiseError(
            "one fold alone", where="splits.folds", hint="Use at least 2; 1 is for `kind: file`."
        )


def _check_recorded(study: Study, teacher: Teacher, where: str) -> None:
    if (teacher.ensemble in study.recorded.combinations) != (teacher.targets == "recorded"):
        raise FoldwiseError(
            f"soft targets {teacher.targets!r} of {teacher.ensemble!r}",
            where=f"{where}.targets",
            hint="Take `recorded` for a combination of submissions, and for nothing else.",
        )


def _check_teachers(study: Study, recipe: str, where: str) -> None:
    teachers = study.teacher_experiment(recipe)
    if teachers is None:
        return
    teachers_of = study.own_models(teachers.name)
    taught = study.recipes[recipe].teacher
    outside = {name for name, _ in teachers_of if not isinstance(study.recipes[name], Recipe)}
    if (
        taught is not None
        and taught.targets != "augmented"
        and (outside or isinstance(teachers, Mixed))
    ):
        raise FoldwiseError(
            f"soft targets {taught.targets!r} of models that this project does not train all of",
            where=f"{where}.targets",
            hint="Take targets: augmented, which their programs answer too.",
        )
    unasked = [name for name in outside if study.recipes[name].kind == PREDICTIONS]
    if unasked:
        raise FoldwiseError(
            f"nobody can ask {unasked[0]!r} about copies: its answers are a table",
            where=f"{where}.ensemble",
            hint="Name an experiment without recorded predictions.",
        )
    if any(study.recipes[name].teacher is not None for name, _ in teachers_of):
        raise FoldwiseError(
            f"its teachers ({teachers.name}) are students themselves",
            where=f"{where}.ensemble",
            hint="Name an experiment whose recipe has no teacher.",
        )
    if not study.free_holdouts(teachers.seeds):
        raise FoldwiseError(
            f"{len(teachers.seeds)} teachers leave no hold-out to the student",
            where="splits.holdouts",
            hint=f"Set it to at least {len(teachers.seeds) + 1}.",
        )


def _check_units(study: Study, recipe: str) -> None:
    if (
        study.recipes[recipe].labels == "shifted"
        and study.datasets[study.task]["unit"] != "eV/atom"
    ):
        raise FoldwiseError(
            f"an energy in eV/atom cannot shift a target in {study.datasets[study.task]['unit']}",
            where=f"recipes.{recipe}.labels",
            hint="Set it to unchanged.",
        )


def _check_pretraining(study: Study, recipe: str) -> None:
    pretrain = study.recipes[recipe].pretrain
    if pretrain is None:
        return
    where = f"recipes.{recipe}.pretrain.tasks"
    with_structures = {
        name: entry for name, entry in study.datasets.items() if entry["source"] != "targets"
    }
    for task in pretrain.tasks:
        check_known(task, with_structures, where)
    if study.task not in pretrain.tasks:
        raise FoldwiseError(
            f"the study's task {study.task} is not among them", where=where, hint="Add it."
        )


def warnings(study: Study) -> list[str]:
    """One line about each recipe in use that is allowed and yet teaches nothing."""
    return [
        f"recipes.{name}: with loss: l1 and teacher.soft_weight: 0.5 the gradient is exactly zero "
        "wherever the student's answer lies between label and soft target, so the student is not "
        "taught there. Take another soft_weight, or loss: huber or mse."
        for name in _used_recipes(study)
        if study.recipes[name].is_flat_between_targets
    ]


def missing_files(study: Study) -> str | None:
    """One line about the first file of a dataset that does not exist; `None` where all do.

    Only of the study's own task and of tasks that one of its recipes is pretrained on.
    """
    pretrained = [study.recipes[name].pretrain for name in _used_recipes(study)]
    tasks = {study.task, *(task for each in pretrained if each for task in each.tasks)}
    for task in sorted(tasks):
        path = study.datasets[task].get("path")
        if (
            path is not None
            and study.datasets[task]["source"] == "file"
            and not Path(path).is_file()
        ):
            error = FoldwiseError(
                f"there is no file {path}",
                where=f"datasets.{task}.path",
                hint="Give the path of a Matbench-format json.gz, seen from the repository.",
            )
            return str(error)
    table = study.splits.get("table")
    if table is not None and not Path(table).is_file():
        error = FoldwiseError(
            f"there is no file {table}",
            where="splits.table",
            hint="Give the path of a CSV or Parquet file, seen from the repository.",
        )
        return str(error)
    return None


def check_known(name: str, known: Mapping[str, Any], where: str) -> None:
    """Check one name.

    Raises:
        FoldwiseError: It is not among `known`.
    """
    if name not in known:
        raise FoldwiseError(
            f"unknown name {name!r}", where=where, hint=f"Allowed: {', '.join(known)}."
        )
