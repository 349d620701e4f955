"""The review of a language model's outputs: could they be read as numbers?"""

from __future__ import annotations

import pandas as pd

from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.review.types import Check, Verdict
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
