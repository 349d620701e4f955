"""The answer for test rows that no network can be asked about, so that a task stays complete.

A crystal with an isolated atom has no graph. Leaving it out would make an official task incomplete,
so it gets what can be said from its composition alone: the linear element reference, fitted on the
fold's training rows as in `foldwise.experiment.comparison.baselines`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from foldwise.crystals.names import fraction_table
from foldwise.experiment.comparison.baselines import element_reference
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.wording import plural, value_text

COLUMNS = ["id", "fold", "formula", "target", "prediction", "reason", "detail"]


def fallback_rows(inputs: ExperimentInputs) -> pd.DataFrame:
    """Test rows that the graph stage left out, with the element reference's answer, by id.

    Returns:
        `COLUMNS`; targets and predictions in the unit of the target.
    """
    failures = inputs.failures.drop_duplicates("id").set_index("id")
    lost = {
        fold: sorted(set(split.test) & set(failures.index)) for fold, split in inputs.splits.items()
    }
    if not any(lost.values()):
        return pd.DataFrame(columns=COLUMNS)
    targets = inputs.targets["target"]
    fractions = fraction_table(inputs.targets["formula"])
    parts = [
        pd.DataFrame(
            {
                "id": ids,
                "fold": fold,
                "formula": inputs.targets.loc[ids, "formula"].to_numpy(),
                "target": targets.loc[ids].to_numpy(dtype=np.float64),
                "prediction": element_reference(fractions, targets, inputs.splits[fold].train, ids),
                "reason": failures.loc[ids, "reason"].to_numpy(),
                "detail": failures.loc[ids, "detail"].to_numpy(),
            },
            columns=COLUMNS,
        )
        for fold, ids in lost.items()
        if ids
    ]
    return pd.concat(parts, ignore_index=True)


def fallback_block(inputs: ExperimentInputs, rows: TestRows, fallback: pd.DataFrame) -> Json | None:
    """The `metrics.fallback` block: the MAE with these rows; `None` where there are none.

    Args:
        inputs: The experiment's inputs.
        rows: The test rows that were predicted.
        fallback: What `fallback_rows` returns.
    """
    if fallback.empty:
        return None
    error = (fallback["prediction"] - fallback["target"]).abs()
    maes = [
        float(
            np.concatenate([rows.fold(fold)["abs_error"], error[fallback["fold"] == fold]]).mean()
        )
        for fold in sorted(inputs.splits)
    ]
    with_them, mae = float(np.mean(maes)), float(error.mean())
    return {
        "rows": len(fallback),
        "answer": "linear element reference, fitted on the fold's training rows",
        "mae": mae,
        "mae_mean_all_rows": with_them,
        "statement": (
            f"{plural(len(fallback), 'test crystal')} could not be put to the network "
            "(diagnostics/fallback.csv) and got the answer of the linear element reference, with "
            f"an MAE of {value_text(mae)} {inputs.unit}. All other numbers here are about the "
            f"{len(rows.table):,} crystals that the network answered; with those "
            f"{len(fallback):,} the MAE over folds is {value_text(with_them)} {inputs.unit}."
        ),
    }


def mae_of_all_rows(record: Json) -> float:
    """Mean over folds of the MAE of a record, rows with the fallback answer included."""
    metrics = record["metrics"]
    block = metrics["fallback"]
    return float(block["mae_mean_all_rows"] if block else metrics["aggregate"]["mae_mean"])
