"""The last part of the review: training, baselines, comparisons, and results that are too good."""

from __future__ import annotations

from foldwise.experiment.inputs.types import Combined, ExperimentInputs, Json
from foldwise.experiment.review.types import Check
from foldwise.statistics.wording import value_text

LAST_EPOCH_SHARE = 0.5
SUSPICIOUS_GAIN = 0.5
OVERFIT_RATIO = 5.0


def result_checks(inputs: ExperimentInputs, record: Json) -> list[Check]:
    """Checks that read the finished record."""
    return [
        _training(inputs, record) if inputs.combined is None else _recorded(inputs.combined),
        _baselines(inputs, record),
        _comparisons(record),
        _too_good(record),
        _contamination(record),
    ]


def _training(inputs: ExperimentInputs, record: Json) -> Check:
    fits = [model.fit for model in inputs.models]
    last = sum(fit["best_epoch"] >= fit["epochs_max"] for fit in fits)
    block = record["fit"]
    ratio = block["val_mae_at_best"] / max(block["train_mae_at_best"], 1e-12)
    detail = (
        f"best at the last allowed epoch in {last} of {len(fits)} fits; validation MAE is "
        f"{ratio:.1f} times the training MAE"
    )
    sound = last <= LAST_EPOCH_SHARE * len(fits) and ratio <= OVERFIT_RATIO
    return Check("training", True if sound else "look", detail)


def _recorded(combined: Combined) -> Check:
    """Whether what the submissions state about themselves could be confirmed."""
    folds = [fold for teacher in combined.teachers for fold in teacher.scores["folds"]]
    known = [fold for fold in folds if fold["recomputed_mae"] is not None]
    if len(known) < len(folds):
        left = len(folds) - len(known)
        return Check("recorded scores", "look", f"{left} of {len(folds)} fold scores: rows missing")
    largest = max(abs(fold["recomputed_mae"] - fold["published_mae"]) for fold in known)
    detail = f"{len(folds)} published fold scores computed again, largest difference {largest:.0e}"
    return Check("recorded scores", True, detail)


def _baselines(inputs: ExperimentInputs, record: Json) -> Check:
    mae = float(record["metrics"]["aggregate"]["mae_mean"])
    baselines = record["metrics"]["baselines"]
    best = min(baselines.values())
    detail = (
        f"MAE {value_text(mae)} {inputs.unit}; training mean "
        f"{value_text(baselines['train_mean_mae'])}, linear element reference "
        f"{value_text(baselines['element_reference_mae'])}"
    )
    return Check("better than simple models", mae < best, detail)


def _comparisons(record: Json) -> Check:
    comparisons = record["decision"]["comparisons"]
    if not comparisons:
        return Check("ranking", True, "nothing to compare with")
    parts = []
    for entry in comparisons:
        clear = "worse than" if entry["delta_mae"] > 0 else "better than"
        word = clear if entry["larger_than_noise"] else "cannot be told apart from"
        parts.append(f"{word} {entry['against'].upper()}")
    worse = any(entry["larger_than_noise"] and entry["delta_mae"] > 0 for entry in comparisons)
    return Check("ranking", "look" if worse else True, "; ".join(parts))


def _too_good(record: Json) -> Check:
    ratios = [
        entry["mae"] / entry["mae_against"]
        for entry in record["decision"]["comparisons"]
        if entry["mae_against"] > 0
    ]
    best = min(ratios, default=1.0)
    detail = (
        f"MAE at least {SUSPICIOUS_GAIN:.0%} of that of every run compared with"
        if best >= SUSPICIOUS_GAIN
        else f"MAE is only {best:.0%} of that of another run: look for leaks before believing it"
    )
    return Check("not too good", True if best >= SUSPICIOUS_GAIN else "look", detail)


def _contamination(record: Json) -> Check:
    leakage = record["leakage"]
    seen = leakage["test_structures_presumably_seen"]
    copies = leakage["duplicates"]["same_structure"]
    seen_text = (
        "pretrained weights presumably saw the test crystals" if seen else "no pretrained weights"
    )
    if leakage["recorded_teachers"]:
        seen_text = "members of the other folds were trained on each fold's labels (cross-fold)"
    copies_text = "an unknown number of" if copies is None else str(copies)
    detail = f"{seen_text}; {copies_text} test crystals have a near-copy in training"
    clean = not seen and copies == 0 and not leakage["recorded_teachers"]
    return Check("leakage", True if clean else "look", detail)
