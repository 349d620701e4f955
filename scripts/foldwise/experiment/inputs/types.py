"""What an experiment is judged from: predictions, fits, splits, the dataset, other experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.crystals.names import UNKNOWN_SYSTEM
from foldwise.experiment.inputs.mixture import Mixture

Json = dict[str, Any]
Paths = Sequence[str | Path]

GROUP_SOURCES = ("anion_family", "crystal_system", "n_elements")


@dataclass(frozen=True)
class InputPaths:
    """Paths of all input files; `fits`, `histories`, `predictions`, `timings` in one order.

    An experiment either has trained models (those four lists) or is a combination of recorded
    teachers (`submissions`, `submission_predictions`, `combinations`).

    Attributes:
        config: The resolved experiment, JSON.
        targets: Table of the accepted crystals.
        card: Description of the dataset, JSON.
        dataset_failures: Rows that the dataset stage left out, CSV.
        graph_failures: Rows that the graph stage left out, CSV; none without structures.
        duplicates: Report on near-copies across train and test, JSON.
        splits: One JSON per fold.
        fits: One `fit.json` per trained model.
        histories: One `history.csv` per trained model.
        predictions: One `test.parquet` per trained model.
        timings: One `test_timing.json` per trained model.
        held_out: One file per trained model with its answers for rows that it held out; without
            them there are no intervals.
        checkpoints: One `model.safetensors` per trained model; without them there is no `model/`.
        calibrations: One `calibration.json` per trained model that answers from views.
        ensembles: One `test.parquet` per fold in the order of `splits`, or empty.
        compare: Folders of the experiments that this one is compared with.
        submissions: One `scores.json` per recorded teacher.
        submission_predictions: One `predictions.parquet` per recorded teacher, in the same order.
        combinations: One JSON per fold: what was combined, and how.
        mixed: Of models of several recipes, three files per fold
            (`foldwise.experiment.inputs.mixed.read_mixture`).
        raw_outputs: Of language models, one per model in the order of `fits`.
    """

    config: str | Path
    targets: str | Path
    card: str | Path
    dataset_failures: str | Path
    duplicates: str | Path
    splits: Paths
    graph_failures: str | Path | None = None
    fits: Paths = ()
    histories: Paths = ()
    predictions: Paths = ()
    timings: Paths = ()
    held_out: Paths = ()
    checkpoints: Paths = ()
    calibrations: Paths = ()
    ensembles: Paths = ()
    compare: Paths = ()
    submissions: Paths = ()
    submission_predictions: Paths = ()
    combinations: Paths = ()
    mixed: Paths = ()
    raw_outputs: Paths = ()


@dataclass(frozen=True)
class Split:
    """Row ids of one fold."""

    fold: int
    train: list[str]
    test: list[str]
    n_folds: int
    protocol: str
    official: bool


@dataclass(frozen=True)
class Model:
    """One trained model, what it predicts for its fold's test rows, and what that cost.

    Attributes:
        fit: The whole `fit.json`.
        history: One row per epoch: epoch, lr, train_loss, train_mae, val_mae, val_rmse, seconds.
        predictions: Prediction per crystal id, in the unit of the target.
        timing: The whole `test_timing.json`.
        held_out: Prediction per crystal id for the rows that the model held out; `None` where they
            were not read.
        checkpoint: Its weights; `None` where they were not given.
        view_bias: Mean shift of its answers that views cause; 0 without views.
    """

    fold: int
    seed: int
    fit: Json
    history: pd.DataFrame
    predictions: pd.Series[float]
    timing: Json
    held_out: pd.Series[float] | None = None
    checkpoint: Path | None = None
    view_bias: float = 0.0

    @property
    def recipe(self) -> str:
        """Name of its recipe."""
        return str(self.fit["recipe"])


@dataclass(frozen=True)
class Parent:
    """A finished experiment that this one is compared with."""

    experiment: str
    record: Json
    rows: pd.DataFrame


@dataclass(frozen=True)
class RecordedTeacher:
    """A submission as `read_submission.py` left it.

    Attributes:
        scores: The whole `scores.json`.
        predictions: Prediction of each row by id, in the unit of the target.
    """

    scores: Json
    predictions: pd.Series[float]

    @property
    def name(self) -> str:
        """What the config calls it."""
        return str(self.scores["name"])


@dataclass(frozen=True)
class Combined:
    """What an experiment without models was made from.

    Attributes:
        teachers: The recorded teachers, in the config's order.
        done: What `combine_submissions.py` did, by fold.
    """

    teachers: Sequence[RecordedTeacher]
    done: Mapping[int, Json]

    @property
    def first(self) -> Json:
        """What was done for the first fold."""
        return self.done[min(self.done)]

    @property
    def names(self) -> list[str]:
        """Names of the teachers."""
        return [teacher.name for teacher in self.teachers]

    @property
    def verified(self) -> bool:
        """Whether every published fold score was computed again."""
        return all(bool(teacher.scores["verified"]) for teacher in self.teachers)


@dataclass(frozen=True)
class ExperimentInputs:
    """Everything that an experiment's folder is made from, checked and in memory.

    Attributes:
        experiment: Name, e.g. "e4".
        config: The resolved experiment.
        card: Description of the dataset.
        targets: One row per accepted crystal, indexed by id.
        failures: Rows left out: id, stage, reason, detail.
        duplicates: Report on near-copies across train and test.
        splits: By fold.
        models: Sorted by fold, then seed; empty for a combination. Of the first replicate, which
            all figures are about that do not say otherwise.
        ensembles: Mean and standard deviation over the members by fold, indexed by id; may be
            empty.
        parents: Experiments to compare with, in the order given.
        combined: Recorded teachers and what was done with them; `None` with trained models.
        repeated: Models of each further replicate, sorted alike.
        mixture: How models of several recipes were combined; `None` with one recipe.
        raw_outputs: What language models were asked about the test rows, and what they wrote;
            `None` for other models.
        star_comparisons: Comparisons of the study that can have a star.
    """

    experiment: str
    config: Json
    card: Json
    targets: pd.DataFrame
    failures: pd.DataFrame
    duplicates: Json
    splits: Mapping[int, Split]
    models: Sequence[Model]
    ensembles: Mapping[int, pd.DataFrame]
    parents: Sequence[Parent]
    combined: Combined | None = None
    repeated: Sequence[Sequence[Model]] = ()
    mixture: Mixture | None = None
    raw_outputs: pd.DataFrame | None = None
    star_comparisons: int = 1

    @property
    def name(self) -> str:
        """The experiment's name as it stands in sentences."""
        return self.experiment.upper()

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.config["task"])

    @property
    def unit(self) -> str:
        """Unit of the target."""
        return str(self.card["unit"])

    @property
    def seeds(self) -> list[int]:
        """Seeds of the members."""
        return [int(seed) for seed in self.config["seeds"]]

    @property
    def replicate_seeds(self) -> list[list[int]]:
        """Seeds of the members of each replicate."""
        return [list(seeds) for seeds in self.config.get("replicates", [self.seeds])]

    @cached_property
    def training_ranges(self) -> dict[int, tuple[float, float]]:
        """Lowest and highest training target of each fold."""
        known = {
            fold: self.targets.loc[split.train, "target"] for fold, split in self.splits.items()
        }
        return {fold: (float(part.min()), float(part.max())) for fold, part in known.items()}

    @property
    def labels(self) -> list[int] | list[str]:
        """Names of the members' columns: seeds, recipes with seeds, or recorded teachers."""
        if self.mixture is not None:
            return list(dict.fromkeys(str(self.label_of(model)) for model in self.models))
        return self.seeds if self.combined is None else self.combined.names

    def label_of(self, model: Model) -> int | str:
        """Name of a model's column."""
        return model.seed if self.mixture is None else f"{model.recipe}_{model.seed}"

    def label_text(self, label: int | str) -> str:
        """A member in words."""
        return f"seed {label}" if isinstance(label, int) else label

    @property
    def has_networks(self) -> bool:
        """Whether all its models are networks of this project, trained in epochs."""
        return bool(self.models) and all(
            model.fit["best_epoch"] is not None for model in self.models
        )

    @property
    def has_structures(self) -> bool:
        """Whether the dataset knows the crystals' structures, or only their composition."""
        return bool((self.targets["crystal_system"] != UNKNOWN_SYSTEM).any())

    @property
    def folds(self) -> list[int]:
        """Folds that were run."""
        return [int(fold) for fold in self.config["folds"]]

    @property
    def recipe(self) -> Json:
        """The resolved recipe."""
        return dict(self.config["recipe"])

    @property
    def pretrained(self) -> bool:
        """Whether training started from pretrained weights, in any of the models."""
        if "init" in self.recipe:
            return str(self.recipe["init"]) == "pretrained"
        recipes = [self.recipe, *(model.fit.get("hyperparams", {}) for model in self.models)]
        return any(
            recipe.get("init") == "pretrained" or bool(recipe.get("pretrained_on"))
            for recipe in recipes
        )

    @property
    def worst_n(self) -> int:
        """For how many rows of a group a sample folder is written."""
        return int(self.config["report"]["worst_n"])
