"""The study file: every key that it may have, with type, bounds, default and meaning.

Keys of a recipe stand in `foldwise.study.recipe`, of an experiment in `foldwise.study.study` and
`foldwise.study.recorded_teachers`, of rules in `foldwise.study.rules`, of the engine in
`foldwise.network.machine`; all others here. After a change,
`python scripts/maintenance/write_config_pages.py` writes the JSON Schema and the tables of the
documentation again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from foldwise.common.settings import (
    CLOSED,
    DIFFERENT,
    Flag,
    Name,
    Number,
    Sha256,
    Share,
    Switch,
    Whole,
)
from foldwise.network.machine import EngineSettings
from foldwise.study.board import WrittenBoard
from foldwise.study.kinds import AnyWrittenRecipe
from foldwise.study.outside.mixed import WrittenMixed
from foldwise.study.recipe import Augment
from foldwise.study.recorded_teachers import Submission, WrittenCombination
from foldwise.study.rules import Decision, Series
from foldwise.study.study import WrittenExperiment
from foldwise.tasks.cuts.rule import Kind

Folder = Annotated[str, Field(min_length=1)]
SubmissionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Dataset:
    """Where a task comes from, and how its target is transformed."""

    source: Literal["embedded", "matbench", "file", "targets"] = Field(
        description="`embedded` in this repository, `matbench` (official download), `file` (with "
        "`path`), or `targets`: id, composition and target alone, for recorded teachers"
    )
    name: str | None = Field(
        default=None,
        description="which of the embedded datasets, for `source: embedded`: `demo` by default, or "
        "a file of `data/` ([their page](../data/README.md))",
    )
    path: str | None = Field(
        default=None, description="the Matbench-format json.gz, for `source: file`"
    )
    max_atoms: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="cells with more atoms are no part of the task"
    )
    column: str | None = Field(
        default=None, description="target column; by default the only one beside `structure`"
    )
    sha256: Sha256 | None = Field(default=None, description="checksum that the file must have")
    target_name: str = Field(description="what the target is called in tables and figures")
    unit: str = Field(description="unit of the target")
    intensive: Switch = Field(
        description="whether the target does not grow with the cell; of one that does the network "
        "answers the share per atom"
    )
    transform: Literal["auto", "element_reference", "standardize", "log", "logistic"] = Field(
        description="`element_reference` for formation energies, `log` for positive quantities of "
        "several orders of magnitude, `logistic` for classes 0 and 1, `standardize` otherwise; "
        "`auto` lets each fold's training rows choose, and says why"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Splits:
    """Folds, hold-outs and seed of the protocol."""

    kind: Kind | None = Field(
        default=None,
        description="how the folds of `task` are cut: `official`, `random`, by `formula`, "
        "`chemical_system`, `spacegroup` or `prototype`, by a `column` of yours, in `time`, one "
        "`cluster` left out at a time, or from a `file` ([which to take](own-data.md#splits)); by "
        "default the published ones of an official task, and random ones elsewhere",
    )
    table: str | None = Field(
        default=None,
        description="CSV or Parquet with `id` and `column`, for the kinds `column`, `time`, `file`",
    )
    column: str | None = Field(
        default=None,
        description="column of `table`: the unit that may not be divided (paper, laboratory, "
        "relaxation), the date or number, or the fold that tests the row",
    )
    folds: Whole = Field(
        ge=1, le=20, description="number of folds where there are no official ones"
    )
    seed: Whole = Field(ge=0, description="seed of these folds; Matbench's own by default")
    only: (
        Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1), *DIFFERENT] | None
    ) = Field(
        default=None,
        description="folds to train and judge, for a first look at a large task; by default all. "
        "Give it a `run` of its own, or it takes the place of the whole study",
    )
    holdouts: Whole = Field(
        ge=2, le=50, description="parts into which the training rows are cut by formula"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Copies:
    """Perturbed copies of the crystals, for soft targets of kind `augmented`."""

    copies: Whole = Field(ge=1, le=100, description="copies of each crystal")
    displacement: Number = Field(
        ge=0, le=0.1, description="standard deviation of each Cartesian coordinate, Å"
    )
    strain: Number = Field(ge=0, le=0.05, description="standard deviation of each strain component")
    substitution: Share = Field(
        description="probability that an element of a copy is replaced by one that stands near it "
        "on Pettifor's scale; the cell is scaled with it"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Report:
    """Depth of the result folders."""

    worst_n: Whole = Field(ge=0, le=100, description="sample folders per group")


@dataclass(frozen=True, config=CLOSED)
class Preflight:
    """What `scripts/preflight.py` accepts; it decides no number."""

    max_hours: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="longest accepted estimate of a study, hours"
    )


def _kind(value: Any) -> str:
    if not isinstance(value, Mapping):
        return type(value).__name__
    if isinstance(value.get("members"), Sequence):
        return WrittenMixed.__name__
    return (WrittenCombination if "members" in value else WrittenExperiment).__name__


AnyExperiment = Annotated[
    Annotated[WrittenExperiment, Tag(WrittenExperiment.__name__)]
    | Annotated[WrittenCombination, Tag(WrittenCombination.__name__)]
    | Annotated[WrittenMixed, Tag(WrittenMixed.__name__)],
    Discriminator(_kind),
]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class StudyFile:
    """A Foldwise study, all files laid over each other; `null` takes an entry out."""

    run: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*)?$")] = Field(
        description="name of the study; its results go to `results/{run}/`, the default study's to "
        "`results/`"
    )
    task: str = Field(description="the task that the experiments are about, one of `datasets`")
    datasets: dict[Name, Dataset | None] = Field(
        description="tasks; the name of an official Matbench task selects its official folds"
    )
    splits: Splits = Field(description="folds, hold-outs and seed of the protocol")
    copies: Copies = Field(description="copies of the crystals that teachers label")
    views: Augment = Field(description="views at test time (`tta`), for recipes without `augment`")
    engine: EngineSettings = Field(description="what a GPU may do")
    recipes: dict[Name, AnyWrittenRecipe | None] = Field(
        description="how a model is trained, or where its answers come from"
    )
    experiments: dict[Name, AnyExperiment | None] = Field(
        description="which trained models answer, or which recorded teachers or models of several "
        "recipes (`members`)"
    )
    decisions: dict[Name, Decision | None] = Field(
        description="rules that the results decide, by the experiment that they judge"
    )
    series: dict[Name, Series | None] = Field(description="when a series of experiments stops")
    force: Flag = Field(description="go on with every series whatever its first experiment shows")
    leaderboard: WrittenBoard | None = Field(
        default=None, description="official tasks on which all submissions are combined"
    )
    only: tuple[str, ...] | None = Field(
        default=None,
        description="experiments of this study; all others, and comparisons with them, are left "
        "out",
    )
    submissions: dict[SubmissionName, Submission | None] = Field(
        default_factory=dict,
        description="recorded teachers by their name in the Matbench repository",
    )
    submissions_dir: Folder | None = Field(
        default=None, description="folder with `{name}/results.json.gz`, in place of downloads"
    )
    targets_dir: Folder | None = Field(
        default=None,
        description="folder with `{task}.csv.gz` (id, composition, target), in place of downloads",
    )
    structures_dir: Folder | None = Field(
        default=None,
        description="folder with `{task}.json.gz`, datasets as Matbench ships them, whole or in "
        "part: their crystals help to combine the leaderboard's submissions",
    )
    mlm_config: Folder | None = Field(
        default=None,
        description="settings of the masked-LM rules; by default `config/mlm.yaml` "
        "([mlm.md](mlm.md))",
    )
    preflight: Preflight = Field(
        default_factory=Preflight, description="what the pre-flight accepts"
    )
    replicates: Whole = Field(
        default=1,
        ge=1,
        le=20,
        description="how often each experiment is made, each time with other training seeds",
    )
    report: Report = Field(description="depth of the result folders")
