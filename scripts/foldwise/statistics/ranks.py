"""Ranks of values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, `[n]`, smallest first; equal values share their mean rank (SciPy)."""
    # Most of a second to import, in every job and whenever the workflow is parsed.
    from scipy.stats import rankdata  # noqa: PLC0415

    return np.asarray(rankdata(values), dtype=np.float64)
