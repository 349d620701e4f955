"""What a failed check does to a run: it needs a person before anything is built on it."""

from __future__ import annotations

from foldwise.experiment.inputs.types import Json
from foldwise.statistics.wording import plural

NEEDS_REVIEW = "needs review"
FAVOURABLE = ("adopted", "kept", "headline")
"""Outcomes of a study's rules that a failed check takes back."""


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
