"""Differences between experiments: those of `results.json`, and those of any other pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import pandas as pd

from foldwise.experiment.inputs.rows import replicate_predictions
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.ablation import BETTER, EVEN, WORSE, device_seconds
from foldwise.site.reading.experiments import ExperimentFolder
from foldwise.statistics.intervals import Interval, mae_difference_interval


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
        star: Whether the difference is claimed: of crystals and training seeds, after correction.
        sentence: The verdict in words.
        same_start: Whether both, or neither, have presumably seen the test crystals.
        seen: Whether the first has.
    """

    experiment: str
    against: str
    mae: float
    mae_against: float
    delta: float
    low: float
    high: float
    verdict: str
    star: bool
    sentence: str
    same_start: bool
    seen: bool

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
        float(entry["delta_mae"]), low, high, verdict_of(low, high), bool(entry["star"]),
        str(entry["verdict"]), own.seen == other.seen, own.seen,
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
    first, second = _shared_rows(own, other)
    pair: Json = {"experiment": own.name, "against": other.name, "rows": len(first)}
    if len(first) < 2:
        return pair | {"groups": []}
    overall = (
        {"delta": known.delta, "low": known.low, "high": known.high}
        if known
        else _ends(paired_interval(first, second))
    )
    groups: list[Json] = [
        {"group": f"{kind}={value}", "n": len(part)}
        | _ends(paired_interval(part, second.loc[part.index]))
        for kind in own.group_kinds
        for value, part in first.groupby(kind, sort=True)
        if len(part) > 1
    ]
    same = {"same_start": own.seen == other.seen}
    return pair | same | overall | {"groups": sorted(groups, key=lambda line: -abs(line["delta"]))}


def paired_interval(first: pd.DataFrame, second: pd.DataFrame) -> Interval:
    """The project's interval of the difference of two experiments on the same rows.

    Args:
        first: Test rows of the one that is judged.
        second: The same rows of the other.
    """
    own, other = replicate_predictions(first), replicate_predictions(second)
    target, formula = first["target"].to_numpy(), first["formula"].to_numpy()
    return mae_difference_interval(target, own, other, formula)


def _ends(interval: Interval) -> Json:
    return {"delta": interval.estimate, "low": interval.low, "high": interval.high}


def _shared_rows(
    own: ExperimentFolder, other: ExperimentFolder
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that both have predicted, in the order of ids."""
    tables = [each.rows.set_index("id") for each in (own, other)]
    shared = tables[0].index.intersection(tables[1].index).sort_values()
    return tables[0].loc[shared], tables[1].loc[shared]
