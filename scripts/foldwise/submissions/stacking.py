"""Weights of an average that has the smallest mean absolute error."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from foldwise.statistics.metrics import Floats

SOLVER = "exact: dual linear program, HiGHS dual simplex (scipy.optimize.linprog)"
_MAX_GAP = 1e-6  # of the MAE: between the primal and the dual optimum


def simplex_weights(members: Floats, target: Floats) -> Floats:
    """Weights >= 0 that sum to 1 and minimise the MAE of `members @ weights`.

    With the residuals `R = members - target` (the weights sum to 1) the problem is to minimise
    `sum |R w|` over the simplex. Its dual has one variable per row and one constraint per member,

        minimise t  subject to  -R_j . d <= t  for every member j,  -1 <= d <= 1,

    and the weights are the multipliers of its constraints. The dual simplex solves it exactly in
    seconds at 100,000 rows, where the primal linear program has two constraints per row.

    Args:
        members: Predictions of the members `[n, m]`.
        target: True values `[n]`.

    Returns:
        Weights `[m]`.

    Raises:
        RuntimeError: The solver failed, or its weights are not optimal.
    """
    residual = members - target[:, None]
    rows, count = residual.shape
    scale = float(np.abs(residual).mean()) or 1.0
    cost = np.zeros(rows + 1)
    cost[-1] = 1.0
    solved = linprog(
        cost,
        A_ub=np.hstack([-residual.T / scale, -np.ones((count, 1))]),
        b_ub=np.zeros(count),
        bounds=[(-1.0, 1.0)] * rows + [(None, None)],
        method="highs-ds",
    )
    if solved.status != 0:
        raise RuntimeError(f"the weights were not found: {solved.message}")
    weights = np.clip(-np.asarray(solved.ineqlin.marginals, dtype=np.float64), 0.0, None)
    weights /= weights.sum()
    primal, dual = float(np.abs(residual @ weights).sum()) / scale, -float(solved.fun or 0.0)
    if primal - dual > _MAX_GAP * rows:
        raise RuntimeError(f"the weights are not optimal: MAE {primal / rows}, bound {dual / rows}")
    return weights
