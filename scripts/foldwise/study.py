"""The study as the config files describe it, checked before the first job.

A study file is laid over `config/config.yaml`; an experiment or a recipe set to `null` is taken
out. What the rules look up (hold-outs, members, resolved parameters) is derived here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.errors import FoldwiseError
from foldwise.machine import EngineSettings, parse_engine
from foldwise.recipe import Recipe, parse_recipe
from foldwise.schemas import SCHEMAS, check_config
from foldwise.study_checks import check_known, check_names
from foldwise.study_rules import Decision, Series, parse_decisions, parse_series
from foldwise.submission_study import RecordedTeachers, is_combination, parse_recorded, selected

SCHEMA = SCHEMAS / "config.schema.json"


@dataclass(frozen=True)
class Experiment:
    """Which trained models answer, and with what the result is compared.

    Attributes:
        name: Folder below `results/`.
        recipe: Recipe of its models.
        seeds: One model per seed; several are averaged.
        tta: Views of each test crystal over which a model's answers are averaged; 1 asks about
            the crystal itself.
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
    tta: int = 1


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
        views: Displacement (Å) and strain of the views at test time, for recipes without their own.
        decisions: Rules by the experiment that they judge.
        series: Series by name.
        force: Whether a series goes on whatever its first experiment shows.
        engine: What a GPU may do.
        seeds_together: Whether the seeds of a fold are trained in one job.
    """

    run: str
    task: str
    datasets: dict[str, dict[str, Any]]
    splits: dict[str, Any]
    copies: dict[str, Any]
    report: dict[str, int]
    recipes: dict[str, Recipe]
    experiments: dict[str, Experiment]
    recorded: RecordedTeachers
    views: dict[str, float]
    decisions: dict[str, Decision]
    series: dict[str, Series]
    force: bool
    engine: EngineSettings
    seeds_together: bool

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
        """Numbers of the folds that are trained and judged."""
        return sorted(self.splits.get("only", range(self.splits["folds"])))

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

    def trained_together(self) -> dict[str, list[int]]:
        """Seeds of every recipe whose models are trained in one job per fold."""
        seeds: dict[str, set[int]] = {}
        for experiment in self.experiments.values():
            if self.seeds_together and self.recipes[experiment.recipe].trains_together:
                seeds.setdefault(experiment.recipe, set()).update(experiment.seeds)
        return {recipe: sorted(used) for recipe, used in seeds.items() if len(used) > 1}

    def view_strength(self, recipe: str) -> dict[str, float]:
        """Displacement (Å) and strain of the views at test time: those of the training, if any."""
        augment = self.recipes[recipe].augment
        return asdict(augment) if augment else dict(self.views)

    def models_of(self, name: str) -> set[tuple[str, int]]:
        """Recipe and seed of every model that answers in an experiment, or teaches for it."""
        experiment = self.experiments[name]
        teachers = self.teacher_experiment(experiment.recipe)
        taught_by = self.models_of(teachers.name) if teachers else set()
        return {(experiment.recipe, seed) for seed in experiment.seeds} | taught_by

    def members_of(self, series: str) -> list[str]:
        """Experiments of a series: those that start alike and compare themselves with its first.

        Directly, or through other experiments of the series.
        """
        first = self.series[series].first
        members = [first]
        for _ in self.experiments:
            members += [
                name
                for name, entry in self.experiments.items()
                if name not in members
                and self.recipes[entry.recipe].init == self._init_of(first)
                and set(entry.compare_with) & set(members)
            ]
        return members

    def gate(self, recipe: str) -> str | None:
        """The series whose first experiment must be sound before a recipe is trained, if any.

        Further seeds of the first experiment's own recipe do not wait: they fill the cores while
        its last fold is trained.
        """
        for name, series in self.series.items():
            later = {model for member in self.members_of(name) for model in self.models_of(member)}
            first = self.models_of(series.first)
            if recipe in {model[0] for model in later} - {model[0] for model in first}:
                return name
        return None

    def series_of(self, experiment: str) -> str | None:
        """The series that an experiment continues, if any."""
        for name in self.series:
            if experiment in self.members_of(name)[1:]:
                return name
        return None

    def _init_of(self, experiment: str) -> str:
        return self.recipes[self.experiments[experiment].recipe].init

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
            "tta": experiment.tta,
            "views": self.view_strength(experiment.recipe) if experiment.tta > 1 else None,
            "parents": list(experiment.compare_with),
            "decision": self.decisions[name].as_dict() if name in self.decisions else None,
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
            "engine": asdict(self.engine) | {"seeds_together": self.seeds_together},
            "random_state": self.splits["seed"],
        }


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a config and resolve its recipes.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or a name that does not
            exist.
    """
    whole = config
    config = selected(config)
    check_config(config, SCHEMA)
    named = set(whole["experiments"])
    recipes = _recipes(
        {name: value for name, value in config["recipes"].items() if value is not None}
    )
    experiments = {
        name: _experiment(name, value)
        for name, value in config["experiments"].items()
        if value is not None and not is_combination(value)
    }
    datasets = {name: dict(value) for name, value in config["datasets"].items() if value}
    check_known(config["task"], datasets, "task")
    for name, dataset in datasets.items():
        if dataset["source"] != "targets" and (dataset["source"] == "file") != ("path" in dataset):
            raise FoldwiseError(
                "a path belongs to source: file, and to no other",
                where=f"datasets.{name}.path",
                hint="Give the path of a Matbench-format json.gz, or change the source.",
            )
    engine = dict(config["engine"])
    together = _flag(engine.pop("seeds_together"))
    engine["deterministic"] = _flag(engine["deterministic"])
    # YAML reads a bare yes or no as a truth value.
    engine["compiled"] = {True: "yes", False: "no"}.get(engine["compiled"], engine["compiled"])
    recorded = parse_recorded(config)
    parents = {name: entry.compare_with for name, entry in experiments.items()}
    parents |= {name: entry.compare_with for name, entry in recorded.combinations.items()}
    study = Study(
        run=config["run"],
        task=config["task"],
        datasets=datasets,
        splits=dict(config["splits"]),
        copies=dict(config["copies"]),
        report=dict(config["report"]),
        recipes=recipes,
        experiments=experiments,
        recorded=recorded,
        views=dict(config["views"]),
        decisions=parse_decisions(config["decisions"], parents, named),
        series=parse_series(config["series"], experiments, named),
        force=_flag(config["force"]),
        engine=parse_engine(engine, where="engine"),
        seeds_together=together,
    )
    check_names(study)
    return study


def _flag(value: bool | str) -> bool:
    """A switch; Snakemake hands `--config force=true` over as text."""
    return value in (True, "true")


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
        tta=value.get("tta", 1),
    )
