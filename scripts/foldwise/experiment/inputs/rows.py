"""One table of all test rows: what was true, what was predicted, and which groups a row is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foldwise.experiment.inputs.intervals import fold_intervals, interval_ends
from foldwise.experiment.inputs.types import GROUP_SOURCES, ExperimentInputs
from foldwise.statistics.answer_intervals import AnswerIntervals
from foldwise.statistics.metrics import Floats, target_bins

GROUP_COLUMNS = (*GROUP_SOURCES, "target_quintile")


@dataclass(frozen=True)
class TestRows:
    """The test rows of all folds, worst first.

    Attributes:
        table: id, fold, target, prediction, std (NaN for a single model), low and high (ends of the
            prediction interval, NaN where there is none), abs_error, formula, and the columns of
            `GROUP_COLUMNS`; where the experiment was made several times over, also what each
            further replicate predicts, `replicate_1` and so on.
        members: Prediction of each seed or recorded teacher, indexed by id in the order of `table`,
            one column per member.
        edges: The six edges of the target quintiles, in the unit of the target.
        intervals: How the prediction intervals of each fold are made; empty where there are none.
    """

    __test__ = False

    table: pd.DataFrame
    members: pd.DataFrame
    edges: Floats
    intervals: Mapping[int, AnswerIntervals]

    def fold(self, fold: int) -> pd.DataFrame:
        """The rows of one fold."""
        return self.table[self.table["fold"] == fold]


def build_rows(inputs: ExperimentInputs) -> TestRows:
    """Combine the members of each fold into one prediction per row.

    The prediction of a combination is that of its ensemble files. The prediction of several seeds
    is the ensemble's mean where ensemble files were given, and otherwise the plain mean of the
    seeds; `std` is the standard deviation over the members (`ddof=0`).
    """
    members = pd.concat([_fold_members(inputs, fold) for fold in inputs.splits])
    answers = pd.concat([_fold_answer(inputs, members, fold) for fold in inputs.splits])
    facts = inputs.targets.loc[answers.index]
    table = pd.DataFrame(
        {
            "id": answers.index,
            "fold": answers["fold"].to_numpy(dtype=np.int32),
            "target": facts["target"].to_numpy(dtype=np.float64),
            "prediction": answers["prediction"].to_numpy(dtype=np.float64),
            "std": answers["std"].to_numpy(dtype=np.float64),
        }
    )
    intervals = fold_intervals(inputs)
    table["low"], table["high"] = interval_ends(inputs, intervals, members)
    table["abs_error"] = (table["prediction"] - table["target"]).abs()
    table["formula"] = facts["formula"].to_numpy()
    for column in GROUP_SOURCES:
        table[column] = facts[column].to_numpy()
    quintile, edges = target_bins(table["target"].to_numpy())
    table["target_quintile"] = quintile.astype(np.int32)
    for number, models in enumerate(inputs.repeated, start=1):
        answer = pd.concat([model.predictions for model in models]).groupby(level=0).mean()
        table[f"replicate_{number}"] = answer.loc[table["id"]].to_numpy()
    table = worst_first(table)
    return TestRows(table, members.drop(columns="fold").loc[table["id"]], edges, intervals)


def replicate_predictions(table: pd.DataFrame) -> Floats:
    """Predictions of all replicates `[replicates, n]` in a table of test rows."""
    further = [name for name in table.columns if str(name).startswith("replicate_")]
    return np.asarray(table[["prediction", *further]].to_numpy(dtype=np.float64).T)


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by falling `abs_error`; equal errors by id, so that the order is always the same."""
    return table.sort_values(["abs_error", "id"], ascending=[False, True], ignore_index=True)


def _fold_members(inputs: ExperimentInputs, fold: int) -> pd.DataFrame:
    columns: dict[int | str, pd.Series[float]] = {
        inputs.label_of(model): model.predictions for model in inputs.models if model.fold == fold
    }
    if inputs.combined is not None:
        columns |= {teacher.name: teacher.predictions for teacher in inputs.combined.teachers}
    known = set(next(iter(columns.values())).index)
    rows = [row for row in inputs.splits[fold].test if row in known]
    table = pd.DataFrame({name: values.loc[rows] for name, values in columns.items()})
    table["fold"] = fold
    return table


def _fold_answer(inputs: ExperimentInputs, members: pd.DataFrame, fold: int) -> pd.DataFrame:
    rows = members[members["fold"] == fold].drop(columns="fold")
    values = rows.to_numpy(dtype=np.float64)
    answer = pd.DataFrame({"fold": fold}, index=rows.index)
    if len(inputs.labels) == 1 and inputs.mixture is None:
        answer["prediction"], answer["std"] = values[:, 0], np.nan
    elif fold in inputs.ensembles:
        ensemble = inputs.ensembles[fold].loc[rows.index]
        answer["prediction"], answer["std"] = ensemble["mean"], ensemble["std"]
    else:
        answer["prediction"], answer["std"] = values.mean(axis=1), values.std(axis=1)
    return answer
