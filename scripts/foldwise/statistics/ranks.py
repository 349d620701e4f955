"""Ranks of values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, `[n]`, smallest first; equal values share their mean rank (SciPy)."""
    # Most of a second to import, in every job and whenever the workflow is parsed.
    from scipy.stats import rankdata  # noqa: PLC0415

    return np.asarray(rankdata(values), dtype=np.float64)


def share_in_order(positive: NDArray[np.bool_], values: ArrayLike) -> float:
    """Share of the pairs of a positive and another row `[n]` in which its value is larger.

    Ties count half. The statistic of Mann and Whitney, which is the area under the receiver
    operating characteristic (Hanley and McNeil, *Radiology* 143, 1982).
    """
    ones = int(positive.sum())
    placed = float(ranks(values)[positive].sum())
    return (placed - ones * (ones + 1) / 2) / (ones * (len(positive) - ones))
