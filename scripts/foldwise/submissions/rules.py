"""The rules that combine models row by row: mean, median, weights on the simplex, a booster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foldwise.statistics.metrics import Floats
from foldwise.submissions.boosting import MedianBooster
from foldwise.submissions.settings import BoosterOptions
from foldwise.submissions.stacking import simplex_weights


class Combiner(Protocol):
    """A rule that is ready to answer."""

    def predict(self, members: Floats, formulas: Sequence[str], /) -> Floats:
        """Combined answers `[n]` of members' answers `[n, m]` for rows of these formulas."""
        ...


@dataclass(frozen=True)
class Average:
    """A weighted mean.

    Attributes:
        weights: One per member `[m]`; they add up to 1.
    """

    weights: Floats

    def predict(self, members: Floats, _formulas: Sequence[str], /) -> Floats:
        """As `Combiner.predict`."""
        return np.asarray(members @ self.weights, dtype=np.float64)


@dataclass(frozen=True)
class Median:
    """The median of the members."""

    def predict(self, members: Floats, _formulas: Sequence[str], /) -> Floats:
        """As `Combiner.predict`."""
        return np.asarray(np.median(members, axis=1), dtype=np.float64)


def fitted_rule(
    rule: str, options: BoosterOptions, members: Floats, formulas: Sequence[str], target: Floats
) -> Combiner:
    """A rule, fitted where it is one that is fitted (`settings.FITTED_RULES`).

    Args:
        rule: One of `settings.RULES`.
        options: Settings of a booster.
        members: Answers `[n, m]` for the rows to fit on; the others look at m alone.
        formulas: Reduced formulas `[n]`.
        target: True values `[n]`.
    """
    count = members.shape[1]
    if rule == "mean":
        return Average(np.full(count, 1.0 / count))
    if rule == "median":
        return Median()
    if rule == "stacked":
        return Average(simplex_weights(members, target))
    booster = MedianBooster(options)
    booster.fit(members, formulas, target)
    return booster


def weights_of(combiner: Combiner) -> list[float] | None:
    """Weights `[m]` where the rule is a weighted mean."""
    return [float(one) for one in combiner.weights] if isinstance(combiner, Average) else None
