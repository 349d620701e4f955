"""Paired differences of an experiment and its parents, their tests, and their form in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foldwise.experiment.inputs.rows import TestRows, replicate_predictions
from foldwise.experiment.inputs.types import ExperimentInputs, Json, Parent
from foldwise.statistics.bootstrap import Interval, absolute_errors, resample_means
from foldwise.statistics.multiplicity import LEVEL, holm


@dataclass(frozen=True)
class Paired:
    """An experiment beside one that it is compared with.

    Attributes:
        parent: The other one.
        mae: MAE over all rows, the mean over the experiment's replicates.
        difference: That MAE minus the other's.
        p_holm: The difference's p-value after Holm's correction over all parents.
    """

    parent: Parent
    mae: float
    difference: Interval
    p_holm: float


def paired_differences(inputs: ExperimentInputs, rows: TestRows) -> list[Paired]:
    """The experiment beside each parent, all from the same drawn formulas."""
    if not inputs.parents:
        return []
    table = rows.table.sort_values("id")
    target = table["target"].to_numpy()
    sides = [table, *(parent.rows.loc[table["id"]] for parent in inputs.parents)]
    errors = [absolute_errors(target, replicate_predictions(side)) for side in sides]
    drawn = resample_means(
        np.column_stack(errors),
        table["formula"].to_numpy(),
        resamples=inputs.resamples,
        seed=inputs.random_state,
    )
    ends = np.cumsum([side.shape[1] for side in errors]).tolist()
    own = range(ends[0])
    mae = float(drawn.observed[own].mean())
    differences = [drawn.interval(own, range(*others)) for others in pairwise(ends)]
    adjusted = holm([difference.p_value or 0.0 for difference in differences])
    return [
        Paired(parent, mae, difference, p_holm)
        for parent, difference, p_holm in zip(inputs.parents, differences, adjusted, strict=True)
    ]


def has_star(difference: Interval, p_holm: float) -> bool:
    """Whether a difference is claimed: of crystals and training seeds, among all of its table."""
    return difference.covers_seeds and p_holm < LEVEL


def interval_entry(interval: Interval) -> Json:
    """An interval as it stands in JSON."""
    return {
        "interval": [interval.low, interval.high],
        "confidence": interval.confidence,
        "resamples": interval.resamples,
        "rows": interval.rows,
        "clusters": interval.clusters,
        "method": interval.method,
    }


def read_interval(entry: Json) -> Interval:
    """The difference of a comparison as it stands in JSON."""
    low, high = entry["interval"]
    return Interval(
        estimate=entry["delta_mae"],
        low=low,
        high=high,
        **{key: entry[key] for key in ("confidence", "resamples", "rows", "method", "clusters")},
        replicates=tuple(entry["replicates"]),
        p_value=entry["p_value"],
    )
