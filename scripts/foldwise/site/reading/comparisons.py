"""Differences between experiments: those of `results.json`, and those of any other pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.ablation import BETTER, EVEN, WORSE, device_seconds
from foldwise.site.reading.experiments import ExperimentFolder
from foldwise.statistics.bootstrap import Interval, mean_interval

GROUP_RESAMPLES = 2_000
"""Resamples for a group of a pair: there are hundreds of them, and they only say where to look."""


@dataclass(frozen=True)
class Comparison:
    """An experiment beside another on the same rows; negative means the first errs less.

    Attributes:
        experiment: The one that is judged.
        against: The other one.
        mae: MAE of the first.
        mae_against: MAE of the other.
        delta: Difference of the MAE.
        low: Lower end of its interval.
        high: Upper end of its interval.
        verdict: "better", "worse" or "even".
        sentence: The verdict in words, if the record has one.
        same_start: Whether both, or neither, have presumably seen the test crystals.
    """

    experiment: str
    against: str
    mae: float
    mae_against: float
    delta: float
    low: float
    high: float
    verdict: str
    sentence: str
    same_start: bool

    def as_dict(self) -> Json:
        """For a template or a data file."""
        return asdict(self)


def recorded_comparisons(experiments: Sequence[ExperimentFolder]) -> list[Comparison]:
    """Every comparison that the records hold between experiments of the site, in their order."""
    by_name = {each.name: each for each in experiments}
    return [
        _recorded(each, by_name[str(entry["against"])], entry)
        for each in experiments
        for entry in each.record["decision"]["comparisons"]
        if entry["against"] in by_name
    ]


def _recorded(own: ExperimentFolder, other: ExperimentFolder, entry: Json) -> Comparison:
    low, high = (float(end) for end in entry["interval"])
    return Comparison(
        own.name, other.name, float(entry["mae"]), float(entry["mae_against"]),
        float(entry["delta_mae"]), low, high, verdict_of(low, high), str(entry["verdict"]),
        own.seen == other.seen,
    )  # fmt: skip


def verdict_of(low: float, high: float) -> str:
    """What an interval of a difference of errors says."""
    return BETTER if high < 0 else WORSE if low > 0 else EVEN


def training_costs(experiments: Sequence[ExperimentFolder]) -> dict[str, float]:
    """Seconds of the device that training each experiment took, teachers included."""
    by_name = {each.name: each.record for each in experiments}
    return {each.name: device_seconds(each.record, by_name) for each in experiments}


def all_pairs(experiments: Sequence[ExperimentFolder]) -> list[Json]:
    """The paired difference of every two experiments, over all rows and in every group.

    Each pair stands once: the later experiment against the earlier one. Over all rows it is that
    of the record where the record has it.
    """
    recorded = {(each.experiment, each.against): each for each in recorded_comparisons(experiments)}
    return [
        _pair(later, earlier, recorded.get((later.name, earlier.name)))
        for earlier, later in combinations(experiments, 2)
    ]


def _pair(own: ExperimentFolder, other: ExperimentFolder, known: Comparison | None) -> Json:
    rows = _shared_rows(own, other)
    if len(rows) < 2:
        return {"experiment": own.name, "against": other.name, "rows": len(rows), "groups": []}
    report = own.config["report"]["bootstrap"], own.config["random_state"]
    overall = (
        {"delta": known.delta, "low": known.low, "high": known.high}
        if known
        else _ends(paired_interval(rows["difference"], *report))
    )
    fewer = min(report[0], GROUP_RESAMPLES), report[1]
    groups = [
        {"group": f"{kind}={value}", "n": len(part)}
        | _ends(paired_interval(part["difference"], *fewer))
        for kind in own.group_kinds
        for value, part in rows.groupby(kind, sort=True)
        if len(part) > 1
    ]
    return {
        "experiment": own.name,
        "against": other.name,
        "rows": len(rows),
        "same_start": own.seen == other.seen,
        **overall,
        "groups": sorted(groups, key=lambda line: -abs(float(line["delta"]))),
    }


def paired_interval(differences: pd.Series[float], resamples: int, seed: int) -> Interval:
    """The project's interval of a mean difference of absolute errors."""
    return mean_interval(differences.to_numpy(), resamples=resamples, seed=seed)


def _ends(interval: Interval) -> Json:
    return {"delta": interval.estimate, "low": interval.low, "high": interval.high}


def _shared_rows(own: ExperimentFolder, other: ExperimentFolder) -> pd.DataFrame:
    """Rows that both have predicted, in the order of ids, with the difference of their errors."""
    first = own.rows.set_index("id")
    second = other.rows.set_index("id")["abs_error"]
    shared = first.join(second.rename("other_error"), how="inner").sort_index()
    return shared.assign(difference=np.subtract(shared["abs_error"], shared["other_error"]))
