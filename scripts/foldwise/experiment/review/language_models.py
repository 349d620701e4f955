"""The review of a language model: could its outputs be read, and what did it know before?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.review.types import Check, Verdict
from foldwise.statistics.metrics import correlation
from foldwise.statistics.ranks import ranks
from foldwise.statistics.wording import value_text

MAX_ACCEPTED, MAX_LOOKED_AT = 0.01, 0.05
"""Shares of outputs without a number: up to the first is fine, above the second is not."""


def parse_check(raw: pd.DataFrame, unit: str) -> Check:
    """Whether the outputs could be read as numbers, and the MAE both ways.

    Args:
        raw: As `read_raw_outputs` has it.
        unit: Unit of the target.
    """
    failed = raw["parse_status"] != OK
    share = float(failed.mean())
    errors = (raw["prediction"] - raw["ground_truth"]).abs()
    detail = (
        f"{int(failed.sum())} of {len(raw):,} outputs ({share:.1%}) hold no number (above "
        f"{MAX_LOOKED_AT:.0%} is a failure)"
    )
    if failed.any():
        without = f"{value_text(errors[~failed].mean())} {unit}" if not failed.all() else "unknown"
        detail += (
            f"; they got the training median: MAE {value_text(errors.mean())} {unit} with them, "
            f"{without} without"
        )
    passed: Verdict = share <= MAX_ACCEPTED
    if MAX_ACCEPTED < share <= MAX_LOOKED_AT:
        passed = "look"
    return Check("parse failures", passed, detail)


def probe_check(raw: pd.DataFrame, told: str) -> Check:
    """Whether answers about crystals of which nothing but a name was told follow the targets.

    Without any knowledge the rank correlation of n answers and targets has a standard deviation of
    1 / sqrt(n - 1) (Kendall and Gibbons, Rank Correlation Methods), so that twice that is taken
    for a sign of knowledge. Answers that are all the same know nothing.

    Args:
        raw: As `read_raw_outputs` has it.
        told: What was told, "id" or "formula".
    """
    parsed = raw[raw["parse_status"] == OK].groupby("id")[["value", "ground_truth"]].mean()
    found = None
    if len(parsed) > 2:
        found = correlation(ranks(parsed["value"]), ranks(parsed["ground_truth"]))
    if found is None:
        return Check("what it knew", True, f"told the {told} alone, its answers are all the same")
    chance = 2.0 / np.sqrt(len(parsed) - 1)
    detail = (
        f"told the {told} alone, its answers and the targets have a rank correlation of "
        f"{found:+.2f} over {len(parsed):,} crystals (by chance within ±{chance:.2f})"
    )
    return Check("what it knew", True if abs(found) <= chance else "look", detail)
