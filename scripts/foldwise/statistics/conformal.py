"""Prediction intervals from rows that no model was fitted to.

Split conformal prediction (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*,
2005; Lei et al., *JASA* 113, 1094, 2018): where the held-out rows and a new row are exchangeable,
the interval `prediction ± q u`, `q` the `ceil((n + 1) level)`-th smallest of the `n` scores
`|error| / u`, holds the new row's target with a probability of at least `level`. The scale `u` of a
row may depend on everything but its target.

Members of an ensemble may hold out different rows. A row that one member held out was fitted by the
others, so that neither the ensemble's error nor its disagreement on that row is one of a new row.
CV+ (Barber, Candès, Ramdas and Tibshirani, *Annals of Statistics* 49, 486, 2021) takes each score
from the member that held the row out and adds it to that member's answer for the new row: the ends
are quantiles of these sums over all held-out rows. Its guarantee is `1 - 2 (1 - level)` less a term
that vanishes with the rows of a part, and about `level` is what it reaches as a rule. Of one
member it is split conformal prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from foldwise.statistics.metrics import Floats, Ints, check_column

_HALVINGS = 60  # of the bracket around an end: to the last digits of a float64


@dataclass(frozen=True)
class Conformal:
    """Scores of held-out rows.

    Attributes:
        scores: Absolute error over scale of the rows that a member held out, sorted, one array per
            member.
    """

    scores: tuple[Floats, ...]

    @classmethod
    def of(cls, scores: Sequence[npt.ArrayLike]) -> Conformal:
        """Check and sort the scores, one array per member.

        Raises:
            ValueError: There is no member, or a score is negative or not finite.
        """
        if not scores:
            raise ValueError("no member has scores")
        columns = [np.sort(check_column(values, "scores")) for values in scores]
        if any(column[0] < 0 for column in columns):
            raise ValueError(f"a score is negative: {min(column[0] for column in columns)}")
        return cls(tuple(columns))

    @property
    def n(self) -> int:
        """Number of scores."""
        return sum(map(len, self.scores))

    def rank(self, level: float) -> int | None:
        """Which of the sorted scores bounds an interval; `None` where there are too few for it."""
        # A product such as 10 * 0.9 may miss its whole number by its last digit.
        rank = math.ceil((self.n + 1) * level - 1e-9)
        return rank if rank <= self.n else None

    def interval(
        self, answers: npt.ArrayLike, scale: npt.ArrayLike, level: float
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends, each `[n]`; NaN where there are too few scores.

        Args:
            answers: What each member answers, `[members, n]`, in the order of `scores`.
            scale: Scale of each row, `[n]`, as that of the scores.
            level: Nominal coverage.
        """
        values, factor = self._checked(answers, scale, level)
        rank = self.rank(level)
        if rank is None:
            nothing = np.full(values.shape[1], np.nan)
            return nothing, nothing.copy()
        middle = values.mean(axis=0)
        low, high = -self._upper(-values, factor, rank), self._upper(values, factor, rank)
        # Of more members than 1 / (1 - level) the mean may lie outside in theory.
        return np.minimum(low, middle), np.maximum(high, middle)

    def needed_rank(
        self, answers: npt.ArrayLike, scale: npt.ArrayLike, targets: npt.ArrayLike
    ) -> Ints:
        """Smallest rank of the scores whose interval holds the target, `[n]`; `n + 1` for none.

        Coverage at any level follows: a target lies inside where this is at most `rank(level)`.
        """
        values, factor = self._checked(answers, scale, 0.5)
        truth = check_column(targets, "targets")
        above = self._below(values, factor, truth)
        below = self._below(-values, factor, -truth)
        return np.asarray(np.maximum(above, below) + 1, dtype=np.int64)

    def _checked(
        self, answers: npt.ArrayLike, scale: npt.ArrayLike, level: float
    ) -> tuple[Floats, Floats]:
        values = np.asarray(answers, dtype=np.float64)
        factor = check_column(scale, "scale")
        if values.shape != (len(self.scores), len(factor)):
            raise ValueError(
                f"answers of shape {values.shape} for {len(self.scores)} members and "
                f"{len(factor)} rows"
            )
        if not (factor > 0).all():
            raise ValueError(f"a scale is not positive: {factor.min()}")
        if not 0 < level < 1:
            raise ValueError(f"the level {level} is not between 0 and 1")
        return values, factor

    def _below(self, values: Floats, factor: Floats, bound: Floats) -> Ints:
        """How many of `answer + scale * score` lie below `bound`, `[n]`."""
        return self._count(values, factor, bound, "left")

    def _upper(self, values: Floats, factor: Floats, rank: int) -> Floats:
        """The `rank`-th smallest of `answer + scale * score` over all scores, `[n]`."""
        if len(self.scores) == 1:
            return np.asarray(values[0] + factor * self.scores[0][rank - 1])
        low, high = values.min(axis=0), values.max(axis=0)
        high = high + factor * max(scores[-1] for scores in self.scores)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = self._at_most(values, factor, middle) >= rank
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        ends: Floats = high
        return ends

    def _at_most(self, values: Floats, factor: Floats, bound: Floats) -> Ints:
        return self._count(values, factor, bound, "right")

    def _count(
        self, values: Floats, factor: Floats, bound: Floats, side: Literal["left", "right"]
    ) -> Ints:
        counts = np.zeros(values.shape[1], dtype=np.int64)
        for scores, answer in zip(self.scores, values, strict=True):
            counts += np.searchsorted(scores, (bound - answer) / factor, side=side)
        return counts
