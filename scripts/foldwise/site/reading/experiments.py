"""The folder of one experiment, as the site shows it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from foldwise.common.files import read_json, read_parquet
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.summary import read_records

ROW_COLUMNS = ("id", "fold", "target", "prediction", "std", "abs_error", "formula")
_MEMBER = "prediction_"


@dataclass(frozen=True)
class ExperimentFolder:
    """One experiment.

    Attributes:
        folder: `results/{experiment}`.
        record: Its `results.json`.
    """

    folder: Path
    record: Json

    @property
    def name(self) -> str:
        """Name of the experiment, e.g. "e4"."""
        return str(self.record["experiment"])

    @property
    def seen(self) -> bool:
        """Whether the weights have presumably seen the test crystals."""
        return bool(self.record["leakage"]["test_structures_presumably_seen"])

    @property
    def mae(self) -> float:
        """MAE over all test rows."""
        return float(self.record["metrics"]["pooled"]["mae"])

    @cached_property
    def config(self) -> Json:
        """The resolved parameters."""
        config: Json = read_json(self.folder / "config.json")
        return config

    @cached_property
    def review(self) -> list[Json]:
        """The checks that closed the run: name, passed (true, false, "look"), detail."""
        checks: list[Json] = read_json(self.folder / "diagnostics" / "review.json")["checks"]
        return checks

    @cached_property
    def groups(self) -> pd.DataFrame:
        """`groups/_index.csv`: one row per group, worst first."""
        return pd.read_csv(self.folder / "groups" / "_index.csv", dtype={"value": str})

    @cached_property
    def group_kinds(self) -> list[str]:
        """The columns that crystals are grouped by."""
        return sorted(set(self.groups["kind"]))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """`predictions.parquet`, worst first."""
        return read_parquet(self.folder / "predictions.parquet", ROW_COLUMNS)

    @cached_property
    def members(self) -> pd.DataFrame:
        """Every member's prediction, indexed by id; the columns are the members' names.

        They stand in the groups' `predictions.csv`; the groups of one kind hold every row once.
        """
        places = self.groups[self.groups["kind"] == "target_quintile"]["group"]
        tables = [_member_table(self.folder / "groups" / place) for place in places]
        table = pd.concat(tables).set_index("id")
        names = [str(name).removeprefix(_MEMBER).replace("_", " ") for name in table.columns]
        return table.set_axis(names, axis="columns")

    def diagnostics(self, name: str) -> list[dict[str, str]]:
        """Rows of a CSV of the diagnostics, as text."""
        with (self.folder / "diagnostics" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def _member_table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(
        folder / "predictions.csv",
        usecols=lambda column: column == "id" or column.startswith(_MEMBER),
        dtype={"id": str},
    )


def read_experiments(folders: Sequence[str | Path]) -> list[ExperimentFolder]:
    """The experiments in the order given.

    Raises:
        FoldwiseError: A folder has no `results.json`, or one that breaks the schema.
    """
    records = read_records(folders)
    return [
        ExperimentFolder(Path(folder), record)
        for folder, record in zip(folders, records, strict=True)
    ]
