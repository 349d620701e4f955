"""What share of an ensemble's gain over one model another model keeps, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldwise.statistics.bootstrap import Resamples


@dataclass(frozen=True)
class KeptShare:
    """`(single - arm) / (single - ensemble)` of mean absolute errors.

    Attributes:
        estimate: The share: 1 where the arm is as accurate as the ensemble, 0 where it is only as
            accurate as one model.
        low: Lower end of the percentile interval; `None` where the ensemble's own gain cannot be
            told from zero, so that no share of it has bounds (Fieller, *JRSS B* 16, 175, 1954).
        high: Upper end.
        replicates: Of the single model, the ensemble and the arm.
    """

    estimate: float
    low: float | None
    high: float | None
    replicates: tuple[int, int, int]


def kept_share(
    drawn: Resamples,
    single: Sequence[int],
    ensemble: Sequence[int],
    arm: Sequence[int],
    *,
    confidence: float = 0.95,
) -> KeptShare:
    """The share of the ensemble's gain that an arm keeps.

    Formulas are drawn once for all three, training seeds for each by itself.

    Args:
        drawn: Mean absolute errors in the same resamples.
        single: Columns of the replicates of one model.
        ensemble: Those of the ensemble.
        arm: Those of the model in question.
        confidence: Nominal coverage, between 0 and 1.
    """
    one, several, own = (
        drawn.drawn(columns, stream) for stream, columns in enumerate((single, ensemble, arm))
    )
    observed = [float(drawn.observed[list(each)].mean()) for each in (single, ensemble, arm)]
    estimate = (observed[0] - observed[2]) / (observed[0] - observed[1])
    counts = (len(single), len(ensemble), len(arm))
    tail = (1.0 - confidence) / 2.0
    gain = one - several
    if np.quantile(gain, tail) <= 0.0:
        return KeptShare(estimate, None, None, counts)
    low, high = np.quantile((one - own) / gain, (tail, 1.0 - tail))
    return KeptShare(estimate, float(low), float(high), counts)
