"""Keep, discard or needs review: the rule that judges a finished run."""

from __future__ import annotations

from typing import Any

KEEP, DISCARD, NEEDS_REVIEW = "keep", "discard", "needs review"
OUTCOMES = {"adopted": KEEP, "not adopted": DISCARD, "kept": KEEP, "dropped": DISCARD}
"""Of the rules in a study's config (`foldwise.experiment.comparison.decisions`)."""


def rule_decision(record: dict[str, Any]) -> dict[str, str]:
    """Verdict and reason of the rule; a person may decide otherwise (`scripts/runs.py decide`).

    A run with a failed check of its review needs one by a person, whatever its numbers say. Where
    the study's config has a rule that adopts or drops the experiment, that rule decides.
    Otherwise a run is discarded where, beside one of the experiments that it is compared with, it
    costs more passes per prediction without a gain whose interval excludes zero, or is worse, by an
    interval that excludes zero, without costing fewer; it is kept in all other cases.

    Args:
        record: A whole `results.json`.
    """
    objection = record["decision"].get("review")
    if objection is not None:
        return {"verdict": NEEDS_REVIEW, "reason": objection, "by": "rule"}
    configured = record["decision"].get("rule") or {}
    if configured.get("outcome") in OUTCOMES:
        verdict = OUTCOMES[configured["outcome"]]
        reason = f"{configured['outcome']}: {configured['reason']}"
        return {"verdict": verdict, "reason": reason, "by": "rule"}
    comparisons = list(record["decision"]["comparisons"])
    for comparison in comparisons:
        objection = _objection(comparison)
        if objection is not None:
            return {"verdict": DISCARD, "reason": objection, "by": "rule"}
    against = ", ".join(str(comparison["against"]) for comparison in comparisons)
    reason = f"worth its cost beside {against}" if against else "compared with no other experiment"
    return {"verdict": KEEP, "reason": reason, "by": "rule"}


def _objection(comparison: dict[str, Any]) -> str | None:
    """Why a run is not worth its cost beside another one; `None` if it is."""
    other, delta = comparison["against"], float(comparison["delta_mae"])
    cost = comparison["cost"] or {}
    # Recorded predictions cost no pass that anybody has measured.
    passes, passes_against = (
        cost.get(key) or 0 for key in ("passes_per_prediction", "passes_against")
    )
    low, high = comparison["interval"]
    clear = low > 0 or high < 0
    if clear and delta > 0 and passes >= passes_against:
        return f"worse than {other} by {delta:.4g} (its interval excludes zero), and no cheaper"
    if passes > passes_against and not (clear and delta < 0):
        return (
            f"{passes} passes per prediction against {passes_against} of {other}, for no clear gain"
        )
    return None
