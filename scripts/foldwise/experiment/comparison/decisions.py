"""What the study's rules make of an experiment: adopted, dropped, or the reason for a headline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foldwise.experiment.comparison.leaderboard import CONTAMINATION
from foldwise.experiment.inputs.types import Json
from foldwise.statistics.intervals import Interval
from foldwise.statistics.wording import interval_text, signed_text, value_text

NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Compared:
    """An experiment beside the one that its rule names.

    Attributes:
        maes: Its MAE on every fold.
        maes_against: The other's, on the same folds.
        difference: Its MAE minus the other's over all rows, with the paired interval.
        unit: Unit of the target.
    """

    maes: Sequence[float]
    maes_against: Sequence[float]
    difference: Interval
    unit: str

    @property
    def folds_better(self) -> int:
        """On how many folds its MAE is lower."""
        return sum(own < other for own, other in zip(self.maes, self.maes_against, strict=True))


def adopt(against: str, compared: Compared) -> Json:
    """Adopted where the MAE falls on every fold and the paired interval excludes zero."""
    every = compared.folds_better == len(compared.maes)
    clear = compared.difference.high < 0
    return _judged("adopt", "adopted" if every and clear else "not adopted", against, compared)


def drop(against: str, compared: Compared) -> Json:
    """Dropped where nothing is gained: unless the paired interval lies below zero."""
    kept = compared.difference.high < 0
    return _judged("drop", "kept" if kept else "dropped", against, compared)


def headline(
    makes: str, reach: float, mae: float, board: Json | None, *, pretrained: bool, complete: bool
) -> Json:
    """`makes` becomes the headline where the MAE is near the best published one of its kind.

    Args:
        makes: Experiment that becomes the headline.
        reach: Share of the published MAE that `mae` may lie above it.
        mae: Mean over folds.
        board: Published results of the task, as `read_leaderboard` returns them.
        pretrained: Whether the run, or its teachers, started from pretrained weights: it is
            measured by published results that did likewise.
        complete: Whether every row of the official task was predicted.
    """
    rule: Json = {"rule": "headline", "makes": makes}
    start = "pretrained" if pretrained else "scratch"
    peers = [entry for entry in (board or {"entries": []})["entries"] if entry["start"] == start]
    if board is None or not peers:
        return rule | {
            "outcome": NOT_APPLICABLE,
            "reason": "Not applicable: nothing is published for this task.",
        }
    if not complete:
        reason = "Not applicable: only a part of the official rows was predicted."
        return rule | {"outcome": NOT_APPLICABLE, "reason": reason}
    best = min(peers, key=lambda entry: float(entry["mae"]))
    limit = float(best["mae"]) * (1 + reach)
    near = mae <= limit
    unit = str(board["unit"])
    sentence = (
        f"Its MAE of {value_text(mae)} {unit} is {'within' if near else 'out of'} reach of the "
        f"best published result that starts likewise, {best['name']} with "
        f"{value_text(float(best['mae']))} (limit {value_text(limit)}): {makes.upper()} is "
        f"{'' if near else 'not '}the headline."
    )
    warned = f"{sentence} {CONTAMINATION}" if pretrained else sentence
    return rule | {"outcome": "headline" if near else "no headline", "reason": warned}


def _judged(rule: str, outcome: str, against: str, compared: Compared) -> Json:
    difference = compared.difference
    folds = len(compared.maes)
    return {
        "rule": rule,
        "against": against,
        "outcome": outcome,
        "folds_better": compared.folds_better,
        "folds": folds,
        "reason": (
            f"{outcome.capitalize()}: beside {against.upper()} its MAE is lower on "
            f"{compared.folds_better} of {folds} folds; over all rows it differs by "
            f"{signed_text(difference.estimate)} {compared.unit} "
            f"({interval_text(difference, compared.unit)}, over test crystals "
            f"{'and training seeds' if difference.covers_seeds else 'but no other training seed'})."
        ),
    }
