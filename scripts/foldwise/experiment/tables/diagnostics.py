"""What to look at before the headline number: failures, outliers, ranges, and the flat table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.files import write_csv, write_json
from foldwise.experiment.comparison.fallback import fallback_rows
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.experiment.tables.groups import Group
from foldwise.statistics.metrics import Floats

OUTLIER_SIGMAS = 6.0
MAD_TO_SIGMA = 1.4826
PILE_SHARE = 0.1
"""Share of test rows with one and the same target that counts as a pile: 43 % of mp_gap's targets
and 53 % of expt_gap's are zero; of mp_e_form, dielectric and jdft2d no number has 1 %."""


def outlier_table(inputs: ExperimentInputs, rows: TestRows) -> pd.DataFrame:
    """Suspicious predictions, worst first, with the reason.

    A row stands here when its prediction lies outside the range of its fold's training targets, or
    when its residual is more than `OUTLIER_SIGMAS` robust standard deviations (1.4826 times the
    median absolute deviation) from the median residual. Both medians are over all test rows.

    Where targets pile up at one number, as metals have a gap of zero, the medians are over the
    other rows: the spread of exact hits says nothing about an error's usual size. And a prediction
    beyond an end of the range at which they pile up must be beyond it by those many standard
    deviations: no network says exactly zero.
    """
    table = rows.table
    residual = (table["prediction"] - table["target"]).to_numpy()
    piled = _pile(table["target"])
    usual = residual[(table["target"] != piled).to_numpy()]
    centre = np.median(usual)
    reach = OUTLIER_SIGMAS * MAD_TO_SIGMA * np.median(np.abs(usual - centre))
    far = np.abs(residual - centre) > reach
    low, high = _training_range(inputs, table)
    prediction = table["prediction"].to_numpy()
    outside = (prediction < np.where(low == piled, low - reach, low)) | (
        prediction > np.where(high == piled, high + reach, high)
    )
    reasons = np.select(
        [outside & far, outside, far],
        ["outside the training range; large error", "outside the training range", "large error"],
        default="",
    )
    shown = ["id", "formula", "fold", "target", "prediction", "std", "abs_error"]
    found: pd.DataFrame = table[shown].assign(train_min=low, train_max=high, reason=reasons)
    kept: pd.DataFrame = found.loc[outside | far].reset_index(drop=True)
    return kept


def _pile(target: pd.Series[float]) -> float:
    """The number at which targets pile up; NaN, which no target is, without one."""
    counts = target.value_counts()
    share = counts.iloc[0] / len(target)
    return float(counts.index[0]) if PILE_SHARE <= share < 1 else math.nan


def _training_range(inputs: ExperimentInputs, table: pd.DataFrame) -> tuple[Floats, Floats]:
    ranges = inputs.training_ranges
    pairs = np.array([ranges[fold] for fold in table["fold"]], dtype=np.float64)
    return pairs[:, 0], pairs[:, 1]


def value_ranges(inputs: ExperimentInputs, rows: TestRows, groups: list[Group]) -> Json:
    """Range and mean of targets and predictions over all rows and in each group."""
    named = {"all": rows.table, **{group.folder: group.rows for group in groups}}
    return {"unit": inputs.unit, **{name: _ranges(table) for name, table in named.items()}}


def _ranges(table: pd.DataFrame) -> Json:
    columns = (("actual", "target"), ("predicted", "prediction"))
    return {
        "n": len(table),
        **{
            f"{label}_{kind}": float(getattr(table[column], kind)())
            for label, column in columns
            for kind in ("min", "max", "mean")
        },
        "bias": float((table["prediction"] - table["target"]).mean()),
    }


def actual_vs_predicted(rows: TestRows) -> pd.DataFrame:
    """The flat table for own analyses, worst first."""
    table = rows.table.copy()
    table.insert(5, "residual", table["prediction"] - table["target"])
    return table


def write_diagnostics(
    folder: Path, inputs: ExperimentInputs, rows: TestRows, groups: list[Group]
) -> None:
    """Write all files of `diagnostics/` but the review, which judges them."""
    fallback = fallback_rows(inputs)
    if len(fallback):
        write_csv(folder / "fallback.csv", fallback)
    write_csv(folder / "failures.csv", inputs.failures)
    write_csv(folder / "outliers.csv", outlier_table(inputs, rows))
    write_csv(folder / "actual_vs_predicted.csv", actual_vs_predicted(rows))
    write_json(folder / "value_ranges.json", value_ranges(inputs, rows, groups))
