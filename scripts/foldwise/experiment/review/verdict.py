"""One check of the review, and what a failed one does to a run: a person must look at it first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foldwise.experiment.inputs.types import Json
from foldwise.statistics.wording import listing, over_folds_text, plural

Verdict = bool | Literal["look"] | None
NEEDS_REVIEW = "needs review"
FAVOURABLE = ("adopted", "kept", "headline")
"""Outcomes of a study's rules that a failed check takes back."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What is checked.
        passed: `True`, `False`, `"look"` if only a person can tell, or `None` if there was nothing
            to check.
        detail: What was found, in words and numbers.
    """

    name: str
    passed: Verdict
    detail: str


def review_message(name: str, review: Json) -> str | None:
    """One line about the failed checks of a run; `None` where none failed.

    Args:
        name: The experiment's name.
        review: What `foldwise.experiment.review.checks.review` returns.
    """
    failed = [check for check in review["checks"] if check["passed"] is False]
    if not failed:
        return None
    details = "; ".join(f"{check['name']}: {check['detail']}" for check in failed)
    return f"{name} needs review: {plural(len(failed), 'check')} failed ({details})"


def screen_lines(record: Json, review: Json) -> list[str]:
    """The review and the headline number for a terminal; every check is in README.txt.

    Args:
        record: What `results.json` holds.
        review: What `foldwise.experiment.review.checks.review` returns.
    """
    errors = record["metrics"]["aggregate"]
    n_folds = len(record["metrics"]["folds"])
    mae = over_folds_text(errors["mae_mean"], errors["mae_std"], n_folds)
    look = [check["name"] for check in review["checks"] if check["passed"] == "look"]
    return [
        f"review: {review['passed']} passed, {review['failed']} failed, {len(look)} to look at"
        f"{f' ({listing(look)})' if look else ''}, {review['not_applicable']} not applicable",
        f"{record['experiment']}: MAE {mae} {record['unit']}, {plural(n_folds, 'fold')}",
    ]


def reviewed_decision(name: str, decision: Json, review: Json) -> Json:
    """The `decision` block after the review: no outcome in favour of a run with a failed check.

    Args:
        name: The experiment's name.
        decision: The block as `decision_block` makes it.
        review: What `foldwise.experiment.review.checks.review` returns.
    """
    message = review_message(name, review)
    rule = decision["rule"]
    if message is not None and rule is not None and rule["outcome"] in FAVOURABLE:
        reason = f"Needs review before it counts as {rule['outcome']}. {rule['reason']}"
        rule = {**rule, "outcome": NEEDS_REVIEW, "reason": reason}
    return {**decision, "rule": rule, "review": message}
