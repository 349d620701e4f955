"""The last part of the review: training, language models, baselines, and what is too good."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foldwise.experiment.comparison.fallback import mae_of_all_rows
from foldwise.experiment.comparison.leaderboard import read_leaderboard
from foldwise.experiment.inputs.mixture import Mixture
from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.types import Combined, ExperimentInputs, Json
from foldwise.experiment.record.outside import made_elsewhere
from foldwise.experiment.review.verdict import Check, Verdict
from foldwise.statistics.metrics import correlation, ranks
from foldwise.statistics.wording import listing, value_text

LAST_EPOCH_SHARE = 0.5
SUSPICIOUS_GAIN = 0.5
OVERFIT_RATIO = 5.0
FITTED_RATIO = 0.5
BETTER, WORSE, EVEN = "better than", "worse than", "cannot be told apart from"
MAX_ACCEPTED, MAX_LOOKED_AT = 0.01, 0.05
"""Shares of outputs without a number: up to the first is fine, above the second is not."""


def result_checks(inputs: ExperimentInputs, record: Json) -> list[Check]:
    """Checks that read the finished record."""
    return [
        _made(inputs, record),
        _baselines(inputs, record),
        _comparisons(record),
        _series(inputs, record),
        _too_good(record),
        _published(inputs, record),
        _contamination(record),
    ]


def _made(inputs: ExperimentInputs, record: Json) -> Check:
    if inputs.combined is not None:
        return _recorded(inputs.combined)
    if inputs.mixture is not None:
        return _members(inputs.mixture)
    if record["fit"] is None:
        return _outside(inputs)
    return _training(inputs, record)


def _members(mixture: Mixture) -> Check:
    """Whether all members of several recipes answer."""
    gone = [f"{one['recipe']}, seed {one['seed']} ({one['reason']})" for one in mixture.left_out]
    detail = f"left out: {'; '.join(gone)}" if gone else "all of them answer on all folds"
    return Check("members", "look" if gone else True, detail)


def _outside(inputs: ExperimentInputs) -> Check:
    """Whether a model from outside may have fitted the rows that it was to hold out."""
    targets = inputs.targets["target"]
    held, test = [], []
    for model in inputs.models:
        if model.held_out is not None and len(model.held_out):
            held.append(float((model.held_out - targets[model.held_out.index]).abs().mean()))
            test.append(float((model.predictions - targets[model.predictions.index]).abs().mean()))
    if not held:
        return Check("held-out rows", "look", "none were answered, so there are no intervals")
    ratio = sum(held) / max(sum(test), 1e-12)
    detail = f"the MAE on rows that it held out is {ratio:.2f} of that on test rows"
    if ratio < FITTED_RATIO:
        return Check("held-out rows", "look", f"{detail}: were they fitted?")
    return Check("held-out rows", True, detail)


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
        return Check("ranking", None, "nothing to compare with")
    parts = [f"{_relation(entry)} {entry['against'].upper()}" for entry in comparisons]
    worse = any(_relation(entry) == WORSE for entry in comparisons)
    return Check("ranking", "look" if worse else True, "; ".join(parts))


def _relation(entry: Json) -> str:
    """How an experiment stands to another one, by the interval of their difference."""
    low, high = entry["interval"]
    return WORSE if low > 0 else BETTER if high < 0 else EVEN


def _series(inputs: ExperimentInputs, record: Json) -> Check:
    """The step of a series: the first experiment of those compared with that starts alike."""
    if inputs.combined is not None:
        return Check("step of the series", None, "recorded models are not a series")
    seen = "test_structures_presumably_seen"
    step = next(
        (
            entry
            for entry, parent in zip(record["decision"]["comparisons"], inputs.parents, strict=True)
            if parent.record["leakage"][seen] == record["leakage"][seen]
        ),
        None,
    )
    if step is None:
        return Check("step of the series", None, "it is the first step")
    relation, before = _relation(step), step["against"].upper()
    if relation == BETTER:
        return Check("step of the series", True, f"better than {before}, the step before")
    if relation == EVEN:
        detail = (
            f"no better than {before}, the step before, as far as the interval tells: diminishing "
            "returns, think before going on"
        )
        return Check("step of the series", "look", detail)
    detail = f"worse than {before}, the step before: find out why before going on"
    return Check("step of the series", False, detail)


def _too_good(record: Json) -> Check:
    known = [entry for entry in record["decision"]["comparisons"] if entry["mae_against"] > 0]
    if not known:
        return Check("not too good", None, "nothing to compare with")
    best = min(known, key=lambda entry: float(entry["mae"]) / float(entry["mae_against"]))
    ratio = best["mae"] / best["mae_against"]
    if ratio >= SUSPICIOUS_GAIN:
        detail = f"MAE at least {SUSPICIOUS_GAIN:.0%} of that of every run compared with"
        return Check("not too good", True, detail)
    detail = (
        f"MAE is only {ratio:.0%} of that of {best['against'].upper()}: look for leaks before "
        "believing it"
    )
    return Check("not too good", False if _relation(best) == BETTER else "look", detail)


def _published(inputs: ExperimentInputs, record: Json) -> Check:
    """Beside the best published result of models that start alike, of a complete task."""
    name = "not too good beside published results"
    board = read_leaderboard(inputs.task)
    start = "pretrained" if record["leakage"]["test_structures_presumably_seen"] else "scratch"
    peers = [entry for entry in (board or {"entries": []})["entries"] if entry["start"] == start]
    if not peers or not record["matbench"]["written"]:
        return Check(name, None, "no published result of this kind to compare with")
    best = min(peers, key=lambda entry: float(entry["mae"]))
    ratio = mae_of_all_rows(record) / float(best["mae"])
    detail = f"MAE is {ratio:.0%} of that of {best['name']}, the best one"
    if ratio < SUSPICIOUS_GAIN:
        return Check(name, False, f"{detail}: look for leaks before believing it")
    return Check(name, True, detail)


def _contamination(record: Json) -> Check:
    leakage = record["leakage"]
    seen = leakage["test_structures_presumably_seen"]
    copies = leakage["duplicates"]["same_structure"]
    seen_text = (
        "pretrained weights presumably saw the test crystals" if seen else "no pretrained weights"
    )
    if leakage["recorded_teachers"]:
        seen_text = "members of the other folds were trained on each fold's labels (cross-fold)"
    elsewhere = made_elsewhere(record)
    if elsewhere:
        seen_text = f"what {listing(elsewhere)} has seen only its maker knows"
    copies_text = "an unknown number of" if copies is None else str(copies)
    detail = f"{seen_text}; {copies_text} test crystals have a near-copy in training"
    clean = not seen and copies == 0 and not leakage["recorded_teachers"] and not elsewhere
    return Check("leakage", True if clean else "look", detail)


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
