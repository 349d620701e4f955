"""The part of a study that is about recorded teachers: submissions, and how they are combined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, DIFFERENT, Sha256
from foldwise.submissions.settings import BoosterOptions

TARGETS_SOURCE = "targets"
DOWNLOADS = "results/downloads/submissions"


@dataclass(frozen=True, config=CLOSED)
class Submission:
    """Where the file of a recorded teacher is; without a path it is downloaded."""

    path: str | None = Field(
        default=None, description="the results.json.gz, where it is not in `submissions_dir`"
    )
    sha256: Sha256 | None = Field(default=None, description="checksum that the file must have")


@dataclass(frozen=True, config=CLOSED)
class Members:
    """What a combination combines."""

    submissions: Annotated[tuple[str, ...], Field(min_length=2, max_length=50), *DIFFERENT] = Field(
        description="names from the study's `submissions`"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenCombination:
    """An experiment whose answers are combined from recorded teachers, as a study writes it."""

    members: Members = Field(description="recorded teachers")
    combine: Literal["mean", "median", "stacked", "boosted"] = Field(
        description="how they are combined: nothing fitted, weights, or a gradient booster"
    )
    booster: BoosterOptions | None = Field(
        default=None, description="settings of the booster, for `combine: boosted`"
    )
    title: str = Field(description="a few words for tables and figures")
    purpose: str = Field(description="the question that it answers")
    compare_with: tuple[str, ...] = Field(default=(), description="experiments of the same study")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Combination(WrittenCombination):
    """A combination and its name, the folder below `results/`."""

    name: str

    @property
    def submissions(self) -> tuple[str, ...]:
        """Names of the recorded teachers."""
        return self.members.submissions

    @property
    def rule(self) -> str:
        """How they are combined, one of `foldwise.submissions.combination.RULES`."""
        return self.combine


@dataclasses.dataclass(frozen=True)
class RecordedTeachers:
    """Combinations of a study, and where their files are.

    Attributes:
        combinations: By experiment name.
        submissions: Path and checksum of each submission, where the config gives them.
        submissions_dir: Folder with `{name}/results.json.gz`; `None` downloads them.
        targets_dir: Folder with `{task}.csv.gz`, for datasets of source `targets`.
    """

    combinations: dict[str, Combination] = dataclasses.field(default_factory=dict)
    submissions: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    submissions_dir: str | None = None
    targets_dir: str | None = None

    def file(self, name: str) -> str:
        """Where the file of a submission is, or will be downloaded to."""
        given = self.submissions.get(name, {}).get("path")
        folder = self.submissions_dir or DOWNLOADS
        return given or f"{folder}/{name}/results.json.gz"

    def sha256(self, name: str) -> str | None:
        """The checksum that the file of a submission must have."""
        return self.submissions.get(name, {}).get("sha256")

    def target_table(self, task: str, dataset: Mapping[str, Any]) -> str | None:
        """The CSV of a dataset of source `targets`; `None` takes the official file."""
        given: str | None = dataset.get("path")
        return given or (f"{self.targets_dir}/{task}.csv.gz" if self.targets_dir else None)

    def resolved(self, name: str) -> dict[str, Any]:
        """What `Study.resolved` says of a combination beside what all experiments share."""
        combination = self.combinations[name]
        return {
            "experiment": name,
            "title": combination.title,
            "purpose": combination.purpose,
            "recipe_name": combination.rule,
            "recipe": {
                "members": list(combination.submissions),
                "combine": combination.rule,
                "booster": asdict(combination.booster) if combination.booster else None,
                "sha256": {member: self.sha256(member) for member in combination.submissions},
            },
            "seeds": [],
            "tta": 1,
            "parents": list(combination.compare_with),
        }


def selected(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config with the experiments that `only` names, and no recipe that none of them uses.

    A study file is laid over the default study, which would otherwise be part of it. Comparisons
    with experiments that are left out are left out with them.

    Raises:
        FoldwiseError: `only` names an experiment that does not exist.
    """
    only, experiments, recipes = (config.get(key) for key in ("only", "experiments", "recipes"))
    if not (
        isinstance(only, list)
        and all(isinstance(name, str) for name in only)
        and isinstance(experiments, Mapping)
        and isinstance(recipes, Mapping)
    ):
        return config  # The declaration says what is wrong with it.
    unknown = [name for name in only if name not in experiments]
    if unknown:
        raise FoldwiseError(
            f"unknown experiment {unknown[0]!r}",
            where="only",
            hint=f"Allowed: {', '.join(experiments)}.",
        )
    left_out = set(experiments) - set(only)
    experiments = {
        name: _without(value, left_out) for name, value in experiments.items() if name in only
    }
    used = _used_recipes(experiments, recipes)
    kept = {name: value for name, value in recipes.items() if name in used}
    return {**config, "experiments": experiments, "recipes": kept}


def _without(experiment: Any, left_out: set[str]) -> Any:
    """An experiment that compares itself with no other that is left out."""
    compared = experiment.get("compare_with") if isinstance(experiment, Mapping) else None
    if not isinstance(compared, list):
        return experiment
    kept = [other for other in compared if not isinstance(other, str) or other not in left_out]
    return {**experiment, "compare_with": kept}


def _used_recipes(experiments: Mapping[str, Any], recipes: Mapping[str, Any]) -> set[str]:
    """Recipes of the experiments, and those that they extend."""
    waiting = [name for value in experiments.values() for name in _recipes_of(value)]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used.add(name)
        recipe = recipes.get(name)
        if isinstance(recipe, Mapping) and "extends" in recipe:
            waiting.append(recipe["extends"])
    return used


def _recipes_of(experiment: Any) -> list[str]:
    """Recipes that an experiment names, its own or its members'."""
    if not isinstance(experiment, Mapping):
        return []
    members = experiment.get("members")
    named = [experiment, *(members if isinstance(members, list) else [])]
    found = [part.get("recipe") for part in named if isinstance(part, Mapping)]
    return [name for name in found if isinstance(name, str)]


def parse_recorded(config: Mapping[str, Any], experiments: Mapping[str, Any]) -> RecordedTeachers:
    """Recorded teachers of a config whose keys and values have been checked.

    Args:
        config: The config as it was written.
        experiments: Its experiments, declared; the combinations among them are taken.

    Raises:
        FoldwiseError: An unknown submission or rule setting, a missing file or folder, or an
            experiment that needs structures which its dataset does not have.
    """
    submissions = {name: dict(value or {}) for name, value in config.get("submissions", {}).items()}
    recorded = RecordedTeachers(
        combinations={
            name: _combination(name, value, submissions)
            for name, value in experiments.items()
            if isinstance(value, WrittenCombination)
        },
        submissions=submissions,
        submissions_dir=config.get("submissions_dir"),
        targets_dir=config.get("targets_dir"),
    )
    _check_trained(config, experiments)
    _check_files(recorded, config)
    return recorded


def _combination(
    name: str, written: WrittenCombination, submissions: Mapping[str, Any]
) -> Combination:
    where = f"experiments.{name}"
    for member in written.members.submissions:
        if member not in submissions:
            raise FoldwiseError(
                f"unknown submission {member!r}",
                where=f"{where}.members.submissions",
                hint=f"Allowed: {', '.join(submissions) or 'none'}; add it to submissions.",
            )
    combination = Combination(name=name, **vars(written))
    if written.combine == "boosted":
        return replace(combination, booster=written.booster or BoosterOptions())
    if written.booster is not None:
        raise FoldwiseError(
            f"settings of a booster belong to combine: boosted, not to {written.combine}",
            where=f"{where}.booster",
            hint="Take them out, or change combine.",
        )
    return combination


def _check_trained(config: Mapping[str, Any], experiments: Mapping[str, Any]) -> None:
    """A dataset without structures can train nothing."""
    dataset = config["datasets"].get(config["task"])
    if not dataset or dataset["source"] != TARGETS_SOURCE:
        return
    for name, value in experiments.items():
        if value is not None and not isinstance(value, WrittenCombination):
            raise FoldwiseError(
                f"{config['task']} has no structures to train on",
                where=f"experiments.{name}",
                hint="Set the experiment to null, leave it out of `only`, or use another dataset.",
            )


def _check_files(recorded: RecordedTeachers, config: Mapping[str, Any]) -> None:
    """What the config says is there must be there before the first job."""
    for key in ("submissions_dir", "targets_dir", "structures_dir"):
        folder = config.get(key)
        if folder is not None and not Path(folder).is_dir():
            raise FoldwiseError(
                f"the folder {folder!r} does not exist",
                where=key,
                hint="Correct it, or leave it out.",
            )
    used = {name for entry in recorded.combinations.values() for name in entry.submissions}
    for name in sorted(used):
        file = recorded.file(name)
        if not file.startswith(DOWNLOADS) and not Path(file).is_file():
            raise FoldwiseError(
                f"there is no file {file!r}",
                where=f"submissions.{name}",
                hint="Correct submissions_dir or the path, or leave both out to download it.",
            )
    dataset = config["datasets"].get(config["task"])
    if not dataset or dataset["source"] != TARGETS_SOURCE:
        return
    table = recorded.target_table(config["task"], dataset)
    if table is not None and not Path(table).is_file():
        raise FoldwiseError(
            f"there is no file {table!r}",
            where="targets_dir",
            hint="Correct it, or leave it out to download the official file.",
        )
