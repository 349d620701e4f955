"""Intervals around the answers of one model or an ensemble, from rows that its members held out.

Which rows can stand for a new one decides how the scores are made:

* Every member held out the same rows: the ensemble's own error there is that of new rows, and so is
  its disagreement. A score is `|error of the mean| / hypot(std, floor)`: split conformal prediction
  with a scale per row, `floor` the error that members have where they agree.
* Members held out different rows: each score is the absolute error of the member that held the row
  out, and the interval is that of CV+, which members that disagree about a row make wider.
* One model: split conformal prediction with one width.

Errors of a target that grows with the cell are scored per atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foldwise.statistics.conformal import Conformal
from foldwise.statistics.metrics import Floats, Ints

CONFIDENCE = 0.9
"""Nominal coverage of every interval that a result folder holds."""
CONSTANT, DISAGREEMENT, MEMBERS = "constant", "disagreement", "members"
"""What sets the width of a row: nothing, the members' spread, or where their answers lie."""


@dataclass(frozen=True)
class AnswerIntervals:
    """How the intervals of one experiment and fold are made.

    Attributes:
        conformal: Scores of the held-out rows.
        kind: `CONSTANT`, `DISAGREEMENT` or `MEMBERS`.
        floor: Of the scale by disagreement, target units (per atom where `sizes` are atoms).
    """

    conformal: Conformal
    kind: str
    floor: float = 0.0

    @classmethod
    def fit(
        cls,
        held_out: Sequence[pd.Series[float]],
        targets: pd.Series[float],
        sizes: pd.Series[float],
        floor: float,
    ) -> AnswerIntervals:
        """Score the held-out rows.

        Args:
            held_out: What each member predicts for the rows that it held out, by id.
            targets: Target by id.
            sizes: By id, 1, or the atoms of a crystal whose target grows with them.
            floor: Error of a member, target units (per atom), known from other rows.
        """
        first = held_out[0].index
        if len(held_out) > 1 and all(rows.index.equals(first) for rows in held_out):
            answers = np.array([rows.to_numpy(dtype=np.float64) for rows in held_out])
            size: Floats = np.asarray(sizes.loc[first], dtype=np.float64)
            error = np.abs(answers.mean(axis=0) - targets.loc[first].to_numpy(dtype=np.float64))
            scale = _spread(answers, size, floor)
            return cls(Conformal.of([error / scale]), DISAGREEMENT, floor)
        scores = [((rows - targets[rows.index]).abs() / sizes[rows.index]) for rows in held_out]
        kind = CONSTANT if len(held_out) == 1 else MEMBERS
        return cls(Conformal.of([part.to_numpy() for part in scores]), kind)

    def ends(
        self, members: Floats, sizes: Floats, level: float = CONFIDENCE
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends `[n]`, NaN where there are too few scores for the level.

        Args:
            members: Answers of the members `[members, n]`.
            sizes: As in `fit`, `[n]`.
            level: Nominal coverage.
        """
        return self.conformal.interval(*self._parts(members, sizes), level)

    def needed_rank(self, members: Floats, sizes: Floats, targets: Floats) -> Ints:
        """As `Conformal.needed_rank`."""
        return self.conformal.needed_rank(*self._parts(members, sizes), targets)

    def _parts(self, members: Floats, sizes: Floats) -> tuple[Floats, Floats]:
        if self.kind == DISAGREEMENT:
            return members.mean(axis=0)[None], _spread(members, sizes, self.floor)
        return members, sizes


def _spread(members: Floats, sizes: Floats, floor: float) -> Floats:
    spread: Floats = np.hypot(members.std(axis=0), floor * sizes)
    return spread
