"""What an experiment is judged from: predictions, fits, splits, the dataset, other experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

Json = dict[str, Any]
Paths = Sequence[str | Path]

GROUP_SOURCES = ("anion_family", "crystal_system", "n_elements")


@dataclass(frozen=True)
class InputPaths:
    """Paths of all input files; `fits`, `histories`, `predictions`, `timings` in one order.

    Attributes:
        config: The resolved experiment, JSON.
        targets: Table of the accepted crystals.
        card: Description of the dataset, JSON.
        dataset_failures: Rows that the dataset stage left out, CSV.
        graph_failures: Rows that the graph stage left out, CSV.
        duplicates: Report on near-copies across train and test, JSON.
        splits: One JSON per fold.
        fits: One `fit.json` per trained model.
        histories: One `history.csv` per trained model.
        predictions: One `test.parquet` per trained model.
        timings: One `test_timing.json` per trained model.
        ensembles: One `test.parquet` per fold in the order of `splits`, or empty.
        compare: Folders of the experiments that this one is compared with.
    """

    config: str | Path
    targets: str | Path
    card: str | Path
    dataset_failures: str | Path
    graph_failures: str | Path
    duplicates: str | Path
    splits: Paths
    fits: Paths
    histories: Paths
    predictions: Paths
    timings: Paths
    ensembles: Paths = ()
    compare: Paths = ()


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
    """

    fold: int
    seed: int
    fit: Json
    history: pd.DataFrame
    predictions: pd.Series[float]
    timing: Json


@dataclass(frozen=True)
class Parent:
    """A finished experiment that this one is compared with."""

    experiment: str
    record: Json
    rows: pd.DataFrame


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
        models: Sorted by fold, then seed.
        ensembles: Mean and standard deviation over the seeds by fold, indexed by id; may be empty.
        parents: Experiments to compare with, in the order given.
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
    def folds(self) -> list[int]:
        """Folds that were run."""
        return [int(fold) for fold in self.config["folds"]]

    @property
    def recipe(self) -> Json:
        """The resolved recipe."""
        return dict(self.config["recipe"])

    @property
    def pretrained(self) -> bool:
        """Whether training started from pretrained weights."""
        return str(self.recipe.get("init")) == "pretrained"

    @property
    def worst_n(self) -> int:
        """For how many rows of a group a sample folder is written."""
        return int(self.config["report"]["worst_n"])

    @property
    def resamples(self) -> int:
        """Number of bootstrap resamples."""
        return int(self.config["report"]["bootstrap"])

    @property
    def random_state(self) -> int:
        """Seed of the bootstrap."""
        return int(self.config["random_state"])
