"""Whether a series of experiments may go on: is its first one better than no network at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.crystals.names import fraction_table
from foldwise.experiment.comparison.baselines import element_reference
from foldwise.experiment.inputs.readers import read_object
from foldwise.experiment.inputs.types import Json, Paths
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import value_text

WARN, STOP = "warn", "stop"


@dataclass(frozen=True)
class Gate:
    """The first experiment of a series beside the linear element reference.

    Attributes:
        series: Name of the series.
        first: Its first experiment.
        mae: Mean over folds of its MAE.
        element_reference_mae: The same of the linear model, fitted to the same training rows.
        passed: Whether the experiment is better.
    """

    series: str
    first: str
    mae: float
    element_reference_mae: float
    passed: bool

    @property
    def message(self) -> str:
        """What there is to say, in one line."""
        relation = "better" if self.passed else "no better"
        return (
            f"{self.first} has an MAE of {value_text(self.mae)}, {relation} than a linear element "
            f"reference ({value_text(self.element_reference_mae)})"
        )

    def as_dict(self) -> Json:
        """For JSON."""
        return {**asdict(self), "message": self.message}


def check_gate(
    series: str, first: str, targets: str | Path, splits: Paths, predictions: Paths
) -> Gate:
    """Compare the first experiment with the linear element reference.

    Args:
        series: Name of the series.
        first: Its first experiment.
        targets: targets.parquet of the task.
        splits: One split file per fold.
        predictions: test.parquet of every model, all members of a fold one after the other.

    Raises:
        FoldwiseError: A file is missing or damaged.
    """
    table = read_parquet(targets, ("id", "formula", "target")).set_index("id")
    fractions = fraction_table(table["formula"])
    n_members = len(predictions) // len(splits)
    own, reference = [], []
    for fold, path in enumerate(splits):
        train = read_object(path, ("train",))["train"]
        members = predictions[fold * n_members : (fold + 1) * n_members]
        ids, answer = _mean_answer(members)
        true = table["target"].loc[ids].to_numpy(dtype=np.float64)
        linear = element_reference(fractions, table["target"], train, ids)
        own.append(float(np.abs(answer - true).mean()))
        reference.append(float(np.abs(linear - true).mean()))
    mae, linear_mae = float(np.mean(own)), float(np.mean(reference))
    return Gate(series, first, mae, linear_mae, mae < linear_mae)


def closed(gate: Gate) -> FoldwiseError:
    """The error that stops a series."""
    return FoldwiseError(
        f"stopped: {gate.message}",
        where=f"series {gate.series}",
        hint="Look for a fault in data or training; --config force=true goes on all the same.",
    )


def _mean_answer(members: Sequence[str | Path]) -> tuple[list[str], Floats]:
    tables: list[pd.DataFrame] = [read_parquet(path, ("id", "prediction")) for path in members]
    answers = [table.set_index("id")["prediction"].loc[tables[0]["id"]] for table in tables]
    return tables[0]["id"].tolist(), np.mean([np.asarray(answer) for answer in answers], axis=0)
