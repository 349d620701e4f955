"""The study as the config files describe it, checked before the first job.

A study file is laid over `config/config.yaml`; an experiment or a recipe set to `null` is taken
out. What the rules look up (hold-outs, members, resolved parameters) is derived here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from foldwise.errors import FoldwiseError
from foldwise.files import read_json
from foldwise.recipe import Recipe, Teacher, parse_recipe
from foldwise.submission_study import RecordedTeachers, is_combination, parse_recorded, selected

SCHEMA = Path(__file__).parents[2] / "config" / "schemas" / "config.schema.json"
# JSON Schema calls 2.0 an integer; a path such as seed_2.0 does not.
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@dataclass(frozen=True)
class Experiment:
    """Which trained models answer, and with what the result is compared.

    Attributes:
        name: Folder below `results/`.
        recipe: Recipe of its models.
        seeds: One model per seed; several are averaged.
        title: A few words for tables and figures.
        purpose: The question that it answers.
        compare_with: Experiments of the same study.
    """

    name: str
    recipe: str
    seeds: tuple[int, ...]
    title: str
    purpose: str
    compare_with: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        run: Name of the study, and folder below `results/`; empty for the default study.
        task: The task that the experiments are about.
        datasets: Where each task comes from, and how its target is transformed.
        splits: Folds, hold-outs and seed of the protocol.
        copies: Perturbed copies for soft targets of kind `augmented`.
        report: Depth of the result folders.
        recipes: Resolved recipes by name.
        experiments: Experiments of trained models by name, in the config's order.
        recorded: Experiments that combine recorded teachers.
    """

    run: str
    task: str
    datasets: dict[str, dict[str, Any]]
    splits: dict[str, int]
    copies: dict[str, Any]
    report: dict[str, int]
    recipes: dict[str, Recipe]
    experiments: dict[str, Experiment]
    recorded: RecordedTeachers

    @property
    def names(self) -> list[str]:
        """All experiments."""
        return [*self.experiments, *self.recorded.combinations]

    @property
    def root(self) -> str:
        """Folder of all results."""
        return f"results/{self.run}" if self.run else "results"

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds."""
        return list(range(self.splits["folds"]))

    def teacher_experiment(self, recipe: str) -> Experiment | None:
        """The experiment whose models teach `recipe`, if it is a student's of trained models."""
        teacher = self.recipes[recipe].teacher
        return self.experiments.get(teacher.ensemble) if teacher else None

    def holdout(self, recipe: str, seed: int) -> int:
        """Hold-out that a model validates on.

        A student takes one that none of its teachers has: every row that a teacher held out is
        then a row that the student fits, with an out-of-fold soft target.
        """
        teachers = self.teacher_experiment(recipe)
        free = self.free_holdouts(teachers.seeds if teachers else ())
        return free[seed % len(free)]

    def free_holdouts(self, seeds: tuple[int, ...]) -> list[int]:
        """Hold-outs on which none of these seeds validates."""
        count = self.splits["holdouts"]
        return sorted(set(range(count)) - {seed % count for seed in seeds})

    def resolved(self, name: str) -> dict[str, Any]:
        """Everything that decides the numbers of an experiment, as plain values."""
        if name in self.recorded.combinations:
            return self._shared() | self.recorded.resolved(name)
        experiment = self.experiments[name]
        recipe = self.recipes[experiment.recipe].as_dict()
        teachers = self.teacher_experiment(experiment.recipe)
        if teachers is not None:
            recipe["teacher"] |= {"recipe": teachers.recipe, "seeds": list(teachers.seeds)}
        return self._shared() | {
            "experiment": name,
            "title": experiment.title,
            "purpose": experiment.purpose,
            "recipe_name": experiment.recipe,
            "recipe": recipe,
            "seeds": list(experiment.seeds),
            "tta": 1,
            "parents": list(experiment.compare_with),
        }

    def _shared(self) -> dict[str, Any]:
        """What all experiments of the study have in common."""
        return {
            "run": self.run,
            "task": self.task,
            "dataset": self.datasets[self.task],
            "splits": self.splits,
            "copies": self.copies,
            "folds": self.folds,
            "report": self.report,
            "random_state": self.splits["seed"],
        }


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a config and resolve its recipes.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or a name that does not
            exist.
    """
    config = selected(config)
    _check_schema(config)
    recipes = _recipes(
        {name: value for name, value in config["recipes"].items() if value is not None}
    )
    experiments = {
        name: _experiment(name, value)
        for name, value in config["experiments"].items()
        if value is not None and not is_combination(value)
    }
    datasets = {name: dict(value) for name, value in config["datasets"].items() if value}
    _check_known(config["task"], datasets, "task")
    for name, dataset in datasets.items():
        if dataset["source"] != "targets" and (dataset["source"] == "file") != ("path" in dataset):
            raise FoldwiseError(
                "a path belongs to source: file, and to no other",
                where=f"datasets.{name}.path",
                hint="Give the path of a Matbench-format json.gz, or change the source.",
            )
    study = Study(
        run=config["run"],
        task=config["task"],
        datasets=datasets,
        splits=dict(config["splits"]),
        copies=dict(config["copies"]),
        report=dict(config["report"]),
        recipes=recipes,
        experiments=experiments,
        recorded=parse_recorded(config),
    )
    _check_names(study)
    return study


def _check_schema(config: Mapping[str, Any]) -> None:
    """Report the first disagreement with the schema in one line."""
    errors = sorted(
        _Validator(read_json(SCHEMA)).iter_errors(config),
        key=lambda error: [str(part) for part in error.absolute_path],
    )
    if not errors:
        return
    error = errors[0]
    path = ".".join(str(part) for part in error.absolute_path) or "config"
    unknown = re.findall(r"'([^']+)'", error.message) if "dditional" in error.message else []
    if unknown:
        allowed = ", ".join(error.schema.get("properties", {})) or "lower_snake_case names"
        raise FoldwiseError(f"unknown key {unknown[0]!r}", where=path, hint=f"Allowed: {allowed}.")
    raise FoldwiseError(error.message, where=path, hint="See config/schemas/config.schema.json.")


def _recipes(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    return {name: parse_recipe(_extended(name, raw, ()), where=f"recipes.{name}") for name in raw}


def _extended(
    name: str, raw: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]
) -> dict[str, Any]:
    """Options of a recipe laid over those of the one that it extends."""
    if name not in list(raw) or name in seen:
        problem = "extends itself" if name in seen else f"unknown recipe {name!r}"
        raise FoldwiseError(
            problem, where=f"recipes.{seen[-1]}.extends", hint=f"Allowed: {', '.join(raw)}."
        )
    options = dict(raw[name])
    base = options.pop("extends", None)
    return options if base is None else {**_extended(base, raw, (*seen, name)), **options}


def _experiment(name: str, value: Mapping[str, Any]) -> Experiment:
    return Experiment(
        name=name,
        recipe=value["recipe"],
        seeds=tuple(value["seeds"]),
        title=value["title"],
        purpose=value["purpose"],
        compare_with=tuple(value.get("compare_with", ())),
    )


def _check_names(study: Study) -> None:
    known = dict.fromkeys(study.names)
    for name, combination in study.recorded.combinations.items():
        for other in combination.compare_with:
            _check_known(other, known, f"experiments.{name}.compare_with")
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        _check_known(experiment.recipe, study.recipes, f"{where}.recipe")
        for other in experiment.compare_with:
            _check_known(other, known, f"{where}.compare_with")
        if len(set(experiment.seeds)) < len(experiment.seeds):
            raise FoldwiseError(
                "a seed is named twice", where=f"{where}.seeds", hint="Name each seed once."
            )
    for name, recipe in study.recipes.items():
        if recipe.teacher is not None:
            where = f"recipes.{name}.teacher"
            _check_known(recipe.teacher.ensemble, known, f"{where}.ensemble")
            _check_recorded(study, recipe.teacher, where)
            _check_teachers(study, name, where)


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
    if study.recipes[teachers.recipe].teacher is not None:
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


def _check_known(name: str, known: Mapping[str, Any], where: str) -> None:
    if name not in known:
        raise FoldwiseError(
            f"unknown name {name!r}", where=where, hint=f"Allowed: {', '.join(known)}."
        )
