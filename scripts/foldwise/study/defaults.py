"""Recipes for data that the pretrained weights have not seen, by the number of crystals.

The default study's own recipes are short: its crystals are those that CHGNet was pretrained on.
What is new has to be learnt. A training is therefore bounded by optimiser steps and by validation:
small data is passed more often, large data at least `LEAST_EPOCHS` times.
"""

from __future__ import annotations

import math
from typing import Any

BATCH_SIZE = 16
STEPS = 10_000
MOST_EPOCHS = 150
LEAST_EPOCHS = 10
HOLDOUTS = (4, 10)  # least: three teachers and a student need one each
HOLDOUT_ROWS = 100


def holdouts(rows: int, folds: int = 5) -> int:
    """Parts of the training rows, one of which validates: few rows are enough to stop by.

    Args:
        rows: Crystals of the task.
        folds: Folds of the study.
    """
    fewest, most = HOLDOUTS
    return min(most, max(fewest, rows * (folds - 1) // folds // HOLDOUT_ROWS))


def recipes(rows: int, folds: int = 5) -> dict[str, dict[str, Any]]:
    """Keys of the recipes `baseline` and `scratch`, to be laid over those of the default study.

    Args:
        rows: Crystals of the task.
        folds: Folds of the study.
    """
    parts = holdouts(rows, folds)
    fitted = rows * (folds - 1) * (parts - 1) // (folds * parts)
    per_epoch = math.ceil(max(1, fitted) / BATCH_SIZE)
    steps = max(STEPS, LEAST_EPOCHS * per_epoch)
    epochs = min(MOST_EPOCHS, math.ceil(steps / per_epoch))
    shared = {
        "epochs": MOST_EPOCHS,
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "loss": "l1",
        "patience": max(LEAST_EPOCHS, math.ceil(epochs / 3)),
    }
    return {"baseline": shared | {"lr": 1e-3}, "scratch": shared | {"lr": 3e-3}}
