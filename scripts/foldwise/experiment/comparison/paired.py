"""Paired differences of an experiment and its parents, their tests, and their form in JSON."""

from __future__ import annotations

from dataclasses import dataclass

from foldwise.experiment.inputs.rows import TestRows, replicate_predictions
from foldwise.experiment.inputs.types import ExperimentInputs, Json, Parent
from foldwise.statistics import LEVEL
from foldwise.statistics.intervals import Interval, paired_means


@dataclass(frozen=True)
class Paired:
    """An experiment beside one that it is compared with.

    Attributes:
        parent: The other one.
        mae: MAE over all rows, the mean over the experiment's replicates.
        difference: That MAE minus the other's.
        adjusted: The difference's p-value after correction for all comparisons of the study.
    """

    parent: Parent
    mae: float
    difference: Interval
    adjusted: float


def paired_differences(inputs: ExperimentInputs, rows: TestRows) -> list[Paired]:
    """The experiment next to each one that it is compared with, on the same rows."""
    if not inputs.parents:
        return []
    table = rows.table.sort_values("id")
    sides = {"": table} | {each.experiment: each.rows.loc[table["id"]] for each in inputs.parents}
    means, columns = paired_means(
        table["target"].to_numpy(),
        {name: replicate_predictions(side) for name, side in sides.items()},
        table["formula"].to_numpy(),
    )
    own = columns.pop("")
    mae = means.interval(own).estimate
    return [
        Paired(parent, mae, difference, adjusted_p_value(difference, inputs.star_comparisons))
        for parent in inputs.parents
        for difference in [means.interval(own, columns[parent.experiment])]
    ]


def adjusted_p_value(difference: Interval, comparisons: int) -> float:
    """Its p-value after Bonferroni's correction for all comparisons of the study with a test.

    The number of comparisons follows from the config, so a comparison has the same p-value and the
    same star in its result folder and in every table. The chance of even one false star in a study
    is at most `foldwise.statistics.LEVEL`.

    Args:
        difference: A difference with its p-value.
        comparisons: Comparisons of the study whose sides both have `STAR_REPLICATES` replicates.
    """
    assert difference.p_value is not None
    return min(1.0, difference.p_value * max(1, comparisons))


def has_star(difference: Interval, adjusted: float) -> bool:
    """Whether a difference is claimed: of crystals and training seeds, in the whole study."""
    return difference.can_have_star and adjusted < LEVEL


def interval_entry(interval: Interval) -> Json:
    """An interval as it stands in JSON."""
    return {
        "interval": [interval.low, interval.high],
        "confidence": interval.confidence,
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
        **{key: entry[key] for key in ("confidence", "rows", "method", "clusters")},
        replicates=tuple(entry["replicates"]),
        p_value=entry["p_value"],
    )
