"""Experiments without models of their own: recorded teachers, and how they were combined."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.readers import check_complete, check_ids, indexed, read_object
from foldwise.experiment.inputs.types import Combined, Json, Paths, RecordedTeacher
from foldwise.statistics.wording import listing, plural, value_text
from foldwise.submissions.scoring import CROSS_FOLD

SCORE_KEYS = ("name", "task", "sha256", "recorded", "folds", "published_mae_mean", "verified")
DONE_KEYS = (
    "rule", "fold", "members", "weights", "solver", "options", "fitted_on_folds",
    "fitted_on_rows", "rows", "fit_seconds", "predict_seconds", "threads",
)  # fmt: skip


def read_combined(
    scores: Paths, predictions: Paths, done: Paths, config: Json, expected: Mapping[int, set[str]]
) -> Combined | None:
    """Read the files of a combination; `None` where there are none.

    Args:
        scores: `scores.json` of each submission.
        predictions: `predictions.parquet` of each submission, in the same order.
        done: What was done for each fold, JSON.
        config: The resolved experiment.
        expected: Test ids by fold.

    Raises:
        FoldwiseError: A file is missing, damaged, or of another study.
    """
    if not done:
        return None
    if len(scores) != len(predictions):
        raise FoldwiseError(
            f"{len(scores)} and {len(predictions)} files",
            where="--submissions, --submission-predictions",
            hint="Give both of each submission, in one order.",
        )
    combined = Combined(
        teachers=[
            _teacher(*paths, config["task"], expected)
            for paths in zip(scores, predictions, strict=True)
        ],
        done={
            int(entry["fold"]): entry for entry in (read_object(path, DONE_KEYS) for path in done)
        },
    )
    check_complete(sorted(combined.done), sorted(expected), "--combinations", "folds")
    check_complete(combined.names, config["recipe"]["members"], "--submissions", "teachers")
    return combined


def _teacher(
    scores_path: str | Path,
    predictions_path: str | Path,
    task: str,
    expected: Mapping[int, set[str]],
) -> RecordedTeacher:
    scores = read_object(scores_path, SCORE_KEYS)
    if scores["task"] != task:
        raise FoldwiseError(
            f"its task is {scores['task']!r}, not {task!r}",
            where=str(scores_path),
            hint="Read the submission for this task.",
        )
    table = indexed(
        read_parquet(predictions_path, ("id", "fold", "prediction")), "prediction", predictions_path
    )
    for fold, ids in expected.items():
        check_ids(table.index[table["fold"] == fold], ids, fold, predictions_path)
    return RecordedTeacher(scores, table["prediction"])


def combination_block(combined: Combined | None) -> Json | None:
    """The `combination` block of `results.json`; `None` where models were trained."""
    if combined is None:
        return None
    return {
        "rule": combined.first["rule"],
        "solver": combined.first["solver"],
        "options": combined.first["options"],
        "members": [
            {
                "name": teacher.name,
                "sha256": teacher.scores["sha256"],
                "recorded": teacher.scores["recorded"],
                "published_mae_mean": teacher.scores["published_mae_mean"],
                "verified": teacher.scores["verified"],
            }
            for teacher in combined.teachers
        ],
        "folds": [
            {
                "fold": fold,
                "weights": done["weights"],
                "fitted_on_folds": done["fitted_on_folds"],
                "fitted_on_rows": done["fitted_on_rows"],
            }
            for fold, done in sorted(combined.done.items())
        ],
    }


def combined_compute_block(combined: Combined) -> Json:
    """The `compute` block: how long combining took; what the members cost is not recorded."""
    fitting, predicting = (
        sum(float(done[key]) for done in combined.done.values())
        for key in ("fit_seconds", "predict_seconds")
    )
    members = len(combined.teachers)
    threads = combined.first["threads"]
    return {
        "device": "cpu",
        "gpu_name": None,
        "precision": "float64",
        "mixed_precision": False,
        "threads": threads,
        "wall_time_sec": fitting + predicting,
        "sec_per_epoch": None,
        "num_params": None,
        "peak_memory_bytes": None,
        "training_passes": 0,
        "wall_time_with_teachers_sec": None,
        "inference": {
            "members": members,
            "views": 1,
            "passes_per_prediction": members,
            "parameters": None,
            "structures_per_s": None,
            "seconds": predicting,
            "device": "cpu",
            "threads": threads,
        },
    }


def recorded_block(combined: Combined | None) -> Json | None:
    """The `leakage.recorded_teachers` block; `None` where models were trained."""
    if combined is None:
        return None
    return {"members": combined.names, "statement": CROSS_FOLD}


def leakage_statement(combined: Combined) -> str:
    """What the recorded teachers may have seen."""
    return (
        f"Combined from the recorded test predictions of {len(combined.teachers)} public Matbench "
        f"submissions ({listing(combined.names)}), each trained by its authors on the training "
        f"rows of each fold. {CROSS_FOLD} Whether a member used data from elsewhere is not "
        "recorded in its file."
    )


def model_text(combined: Combined) -> list[str]:
    """Section MODEL of the README: the rule, then how it was fitted."""
    members = plural(len(combined.teachers), "recorded model")
    rule = combined.first["rule"]
    start = "Nothing was trained here: the predictions of the members were published by their "
    how = {
        "mean": f"The prediction of a crystal is the mean of {members}.",
        "median": f"The prediction of a crystal is the median of {members}.",
        "stacked": (
            f"The prediction of a crystal is a weighted mean of {members}. The weights are not "
            "negative, sum to 1, and minimise the MAE on the other folds' test predictions "
            f"({combined.first['solver']})."
        ),
        "boosted": (
            f"The prediction of a crystal is the median of {members} plus a correction by "
            "scikit-learn's HistGradientBoostingRegressor (absolute error), which sees the "
            "members' predictions, their order statistics and their spread, and was fitted on the "
            "residuals of the other folds' rows."
        ),
        "chosen": (
            f"The prediction of a crystal is made of {members} by the rule that an inner "
            "cross-validation on the other folds chose for its fold "
            f"({_chosen_rules(combined)}); "
            "docs/submissions.md says what each rule is."
        ),
    }[str(rule)]
    checked = (
        "Every published fold score was computed again from the predictions and agrees."
        if combined.verified
        else "The dataset lacks rows, so the published fold scores could not be computed again."
    )
    return [f"{start}authors as Matbench submissions. {how}", f"{checked} {_fit_text(combined)}"]


def _chosen_rules(combined: Combined) -> str:
    return ", ".join(str(done["options"].get("chosen")) for done in combined.done.values())


def _fit_text(combined: Combined) -> str:
    rows = [int(done["fitted_on_rows"]) for done in combined.done.values()]
    if not max(rows):
        return "The rule has nothing that is fitted."
    return (
        f"For each fold the rule was fitted on the {min(rows):,} to {max(rows):,} rows of the "
        "other folds."
    )


def member_lines(combined: Combined) -> list[str]:
    """A table for the README: each member, its published MAE, and its weight by fold."""
    folds = sorted(combined.done)
    weighted = combined.first["weights"] is not None
    width = max(16, *(len(teacher.name) for teacher in combined.teachers))
    head = f"  {'member':<{width}} {'published MAE':>13}"
    if weighted:
        head += "   weight in fold " + "  ".join(f"{fold:>5}" for fold in folds)
    lines = [head]
    for number, teacher in enumerate(combined.teachers):
        line = f"  {teacher.name:<{width}} {value_text(teacher.scores['published_mae_mean']):>13}"
        if weighted:
            weights = [float(combined.done[fold]["weights"][number]) for fold in folds]
            line += " " * 18 + "  ".join(f"{weight:5.3f}" for weight in weights)
        lines.append(line)
    options = combined.first["options"]
    return [*lines, *(f"  {key:<{width}} {value!s:>13}" for key, value in options.items())]
