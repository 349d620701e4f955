"""Recipes for data that the pretrained weights have not seen, by the number of crystals.

The default study's own recipes are short: its crystals are those that CHGNet was pretrained on.
What is new has to be learnt. A training is therefore bounded by optimiser steps and by validation:
small data is passed more often, large data at least `LEAST_EPOCHS` times.

Smallest error on a hold-out of fold 0 (folds by formula, weights of CHGNet 0.3.0) for two targets
that the pretrained weights have not seen, of the matminer 0.4.2 source distribution:

=====================================  ===========  ===========  ==========
recipe                                 index, 0     index, 1     K_VRH, 0
=====================================  ===========  ===========  ==========
default study's: 8 epochs, lr 3e-4     0.519                     59.2 GPa
this module's, but lr 1e-3             0.179
this module's, but lr 2e-3             0.145        0.138        10.5 GPa
this module's: lr 4e-3                 0.118        0.126        9.9 GPa
=====================================  ===========  ===========  ==========

(refractive index, 738 fitted rows; bulk modulus, 839; the number is that of seed and hold-out). A
search for the refractive index (`search_recipe.py --budget 20min`, one thread beside other work, 11
trials of 1,295 steps) ends at lr 3.4e-3 with 0.107. Searches on four kinds of data, and what their
higher rates are worth in long trainings: docs/configuration.md.
A hold-out of about 105 rows ends each training and is reported by its best epoch, so small
differences mean nothing.
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
STARTS = {"baseline": "from CHGNet 0.3.0's weights", "scratch": "from random weights"}


def holdouts(rows: int, folds: int = 5) -> int:
    """Parts of the training rows, one of which validates: few rows are enough to stop by.

    Args:
        rows: Crystals of the task.
        folds: Folds of the study.
    """
    fewest, most = HOLDOUTS
    shared_out = max(folds, 2)
    return min(most, max(fewest, rows * (shared_out - 1) // shared_out // HOLDOUT_ROWS))


def recipe_lines(rows: int, folds: int, parts: int) -> list[str]:
    """The recipes as lines of a study file, with the reason of each choice.

    Args:
        rows: Crystals of the task.
        folds: Folds of the study.
        parts: Hold-outs of the study.
    """
    chosen = recipes(rows, folds, parts)
    lines = [
        "# How models are trained. The default study's few passes are for crystals that CHGNet has",
        "# seen. Training ends with `steps` or `epochs`, whichever comes first, or earlier where",
        "# `patience` epochs brought no better error on the hold-out. To search on the hold-out:",
        "# python scripts/search_recipe.py --config THIS FILE --budget 20min",
        "recipes:",
    ]
    for name, options in chosen.items():
        lines.append(f"  {name}:  # {STARTS[name]}")
        lines += [f"    {key}: {_number(value)}" for key, value in options.items()]
    return lines


def _number(value: object) -> str:
    """As YAML reads it back: 1e-3 would be a text."""
    return f"{value:.1e}" if isinstance(value, float) else str(value)


def recipes(rows: int, folds: int = 5, parts: int | None = None) -> dict[str, dict[str, Any]]:
    """Keys of the recipes `baseline` and `scratch`, to be laid over those of the default study.

    Args:
        rows: Crystals of the task.
        folds: Folds of the study.
        parts: Hold-outs of the study; by default those of `holdouts`.
    """
    parts = parts or holdouts(rows, folds)
    shared_out = max(folds, 2)  # a user's own split may have one fold
    fitted = rows * (shared_out - 1) * (parts - 1) // (shared_out * parts)
    per_epoch = math.ceil(max(1, fitted) / BATCH_SIZE)
    steps = max(STEPS, LEAST_EPOCHS * per_epoch)
    epochs = min(MOST_EPOCHS, math.ceil(steps / per_epoch))
    shared = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "loss": "l1",
        "patience": max(LEAST_EPOCHS, math.ceil(epochs / 3)),
    }
    return {"baseline": shared | {"lr": 4e-3}, "scratch": shared | {"lr": 3e-3}}
