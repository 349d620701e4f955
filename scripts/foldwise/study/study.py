"""A study and what follows from it: hold-outs, members, series, resolved parameters."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.settings import CLOSED, DIFFERENT, Whole
from foldwise.network.machine import EngineSettings
from foldwise.statistics import STAR_REPLICATES
from foldwise.study.kinds import AnyRecipe
from foldwise.study.outside.mixed import Mixed, booster_options
from foldwise.study.recorded_teachers import RecordedTeachers
from foldwise.study.rules import Decision, Series


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenExperiment:
    """Which trained models answer, and with what the result is compared, as a study writes it."""

    recipe: str = Field(description="recipe of its models")
    seeds: Annotated[
        tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1, max_length=50), *DIFFERENT
    ] = Field(description="one model per seed; several are averaged")
    tta: Whole = Field(
        default=1,
        ge=1,
        le=64,
        description="views of each test crystal over which a model's answers are averaged; 1 asks "
        "about the crystal itself",
    )
    replicates: Annotated[Whole, Field(ge=1, le=20)] | None = Field(
        default=None,
        description="how often the experiment is made, each time with other training seeds; by "
        "default as the study's own `replicates`",
    )
    title: str = Field(description="a few words for tables and figures")
    purpose: str = Field(description="the question that it answers")
    compare_with: tuple[str, ...] = Field(default=(), description="experiments of the same study")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Experiment(WrittenExperiment):
    """An experiment and its name, the folder below `results/`."""

    name: str

    @property
    def replicate_seeds(self) -> list[list[int]]:
        """Seeds of each replicate: the first one's, moved on so that no two share a seed."""
        step = max(self.seeds) - min(self.seeds) + 1
        return [
            [seed + step * number for seed in self.seeds] for number in range(self.replicates or 1)
        ]

    @property
    def all_seeds(self) -> list[int]:
        """Seeds of all replicates."""
        return [seed for seeds in self.replicate_seeds for seed in seeds]


@dataclasses.dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        run: Name of the study, and folder below `results/`; empty for the default study.
        task: The task that the experiments are about.
        datasets: Where each task comes from, and how its target is transformed.
        splits: Folds, hold-outs and seed of the protocol.
        copies: Perturbed copies for soft targets of kind `augmented`.
        report: Depth of the result folders.
        recipes: Resolved recipes by name, candidates of searches among them.
        passes_of: By recipe, the experiments from which it takes its passes.
        searches: By recipe whose soft weight is searched, the candidate recipes.
        experiments: Experiments of trained models by name, in the config's order.
        recorded: Experiments that combine recorded teachers.
        mixed: Experiments whose members are models of several recipes, by name.
        views: Displacement (Å) and strain of the views at test time, for recipes without their own.
        decisions: Rules by the experiment that they judge.
        series: Series by name.
        force: Whether a series goes on whatever its first experiment shows.
        engine: What a GPU may do.
    """

    run: str
    task: str
    datasets: dict[str, dict[str, Any]]
    splits: dict[str, Any]
    copies: dict[str, Any]
    report: dict[str, int]
    recipes: dict[str, AnyRecipe]
    passes_of: dict[str, tuple[str, ...]]
    searches: dict[str, list[str]]
    experiments: dict[str, Experiment]
    recorded: RecordedTeachers
    mixed: dict[str, Mixed]
    views: dict[str, float]
    decisions: dict[str, Decision]
    series: dict[str, Series]
    force: bool
    engine: EngineSettings

    @property
    def names(self) -> list[str]:
        """All experiments."""
        return [*self.experiments, *self.mixed, *self.recorded.combinations]

    @property
    def root(self) -> str:
        """Folder of all results."""
        return f"results/{self.run}" if self.run else "results"

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds that are trained and judged."""
        return sorted(self.splits.get("only", range(self.splits["folds"])))

    @property
    def star_comparisons(self) -> int:
        """Comparisons whose two sides are trained often enough for a star: one family of tests."""
        often = {
            name
            for name, entry in self.experiments.items()
            if len(entry.replicate_seeds) >= STAR_REPLICATES
        }
        return sum(len(often.intersection(self.experiments[name].compare_with)) for name in often)

    def of_kind(self, *kinds: str) -> list[str]:
        """Recipes whose models are of one of these kinds."""
        return [name for name, recipe in self.recipes.items() if recipe.kind in kinds]

    def teacher_experiment(self, recipe: str) -> Experiment | Mixed | None:
        """The experiment whose models teach `recipe`, if it is a student's of trained models."""
        teacher = self.recipes[recipe].teacher
        if teacher is None:
            return None
        return self.experiments.get(teacher.ensemble) or self.mixed.get(teacher.ensemble)

    def labels_copies(self, recipe: str) -> bool:
        """Whether models answer for copies: an ensemble of theirs teaches a student by them."""
        taught = [entry.teacher for entry in self.recipes.values() if entry.teacher is not None]
        ensembles = [one.ensemble for one in taught if one.targets == "augmented"]
        return recipe in {member for name in ensembles for member, _ in self.own_models(name)}

    def own_models(self, name: str) -> list[tuple[str, int]]:
        """Recipe and seed of every model that answers in an experiment, in order."""
        if name in self.mixed:
            return self.mixed[name].models
        entry = self.experiments.get(name)
        return [(entry.recipe, seed) for seed in entry.all_seeds] if entry else []

    def holdout(self, recipe: str, seed: int) -> int:
        """Hold-out that a model validates on.

        A student takes one that none of its teachers has: every row that a teacher held out is
        then a row that the student fits, with an out-of-fold soft target. A control that takes its
        passes from a student takes its hold-out too, and fits the same rows.
        """
        teachers = self.teacher_experiment(recipe)
        if teachers is None and recipe in self.passes_of:
            controlled = self.experiments[self.passes_of[recipe][-1]].recipe
            return self.holdout(controlled, seed)
        free = self.free_holdouts(teachers.seeds if teachers else ())
        return free[seed % len(free)]

    def first_seed(self, recipe: str) -> int:
        """The first seed of the experiments whose models a recipe trains."""
        return min(min(e.seeds) for e in self.experiments.values() if e.recipe == recipe)

    def seeds_of(self, recipe: str) -> list[int]:
        """Seeds with which a recipe is trained in any experiment."""
        return sorted({s for name in self.names for r, s in self.own_models(name) if r == recipe})

    def free_holdouts(self, seeds: tuple[int, ...]) -> list[int]:
        """Hold-outs on which none of these seeds validates."""
        count = self.splits["holdouts"]
        return sorted(set(range(count)) - {seed % count for seed in seeds})

    def view_strength(self, recipe: str) -> dict[str, float]:
        """Displacement (Å) and strain of the views at test time: those of the training, if any."""
        augment = self.recipes[recipe].augment
        return asdict(augment) if augment else dict(self.views)

    def models_of(self, name: str) -> set[tuple[str, int]]:
        """Recipe and seed of every model that answers in an experiment, or teaches for it."""
        models = set(self.own_models(name))
        for recipe in {recipe for recipe, _ in models}:
            teachers = self.teacher_experiment(recipe)
            models |= self.models_of(teachers.name) if teachers else set()
        return models

    def members_of(self, series: str) -> list[str]:
        """Experiments of a series: those that start alike and compare themselves with its first.

        Directly, or through other experiments of the series.
        """
        first = self.series[series].first
        members, start = [first], self._init_of(first)
        for _ in self.experiments:
            members += [
                name
                for name, entry in self.experiments.items()
                if name not in members
                and self.recipes[entry.recipe].init == start
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
        inits = {self.recipes[recipe].init for recipe, _ in self.own_models(experiment)}
        return "pretrained" if "pretrained" in inits else "scratch"

    def resolved(self, name: str) -> dict[str, Any]:
        """Everything that decides the numbers of an experiment, as plain values."""
        if name in self.recorded.combinations:
            return self._shared() | self.recorded.resolved(name)
        if name in self.mixed:
            return self._shared() | self._resolved_mixed(self.mixed[name])
        experiment = self.experiments[name]
        recipe = self.recipes[experiment.recipe].as_dict()
        teachers = self.teacher_experiment(experiment.recipe)
        if isinstance(teachers, Experiment):
            recipe["teacher"] |= {"recipe": teachers.recipe, "seeds": list(teachers.seeds)}
        elif teachers is not None:
            members = [f"{member}_{seed}" for member, seed in teachers.models]
            recipe["teacher"] |= {"members": members, "init": self._init_of(teachers.name)}
        if experiment.recipe in self.searches:
            tried = [self.recipes[name].teacher for name in self.searches[experiment.recipe]]
            recipe["teacher"]["soft_weight"] = [one.soft_weight for one in tried if one]
        replicates = {"replicates": experiment.replicate_seeds}
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
            **(replicates if len(experiment.replicate_seeds) > 1 else {}),
        }

    def _resolved_mixed(self, mixed: Mixed) -> dict[str, Any]:
        """What decides the numbers of a mixed experiment alone."""
        members = [
            {"recipe": part.recipe, "seeds": list(part.seeds)}
            | {"how": self.recipes[part.recipe].as_dict()}
            for part in mixed.members
        ]
        recipe = {
            "members": members,
            "combine": mixed.combine,
            "booster": booster_options(mixed),
            "init": self._init_of(mixed.name),
        }
        decided = self.decisions.get(mixed.name)
        return mixed.resolved() | {
            "recipe": recipe,
            "decision": decided.as_dict() if decided else None,
        }

    def shared_with(self, task: str) -> dict[str, Any]:
        """What an experiment on another task of the same config has in common with the study's."""
        return self._shared() | {"task": task, "dataset": self.datasets[task]}

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
            "engine": asdict(self.engine),
        }
