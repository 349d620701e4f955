"""Recorded teachers: the test predictions that a Matbench submission keeps, fold by fold.

A submission is a `results.json.gz` as the matbench package writes it. It states a score for each
fold; the score is computed again from its predictions, so that a damaged file, other folds or
another dataset are found before anything is built on them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.submissions.content import (
    AGAIN,
    fold_predictions,
    published_score,
    read_content,
    task_folds,
)
from foldwise.submissions.scoring import fold_score, metric_name, probability_rocauc
from foldwise.tasks.official import any_official_task

SCORE_TOLERANCE = 1e-4
"""By how much a published fold score may differ from the one that is computed again."""


@dataclass(frozen=True)
class Submission:
    """One task of a submission, checked for form but not yet for its scores.

    Attributes:
        name: What the config calls it.
        task: Official task.
        sha256: Checksum of the file.
        recorded: Date on which matbench recorded it, as it stands in the file; may be empty.
        predictions: By fold, the prediction for each official test row of the fold, by id.
        published: By fold, the score that the submission states: MAE, or ROC-AUC.
        metric: "mae" or "rocauc".
        notes: What was unusual about the file.
    """

    name: str
    task: str
    sha256: str
    recorded: str
    predictions: list[pd.Series[float]]
    published: list[float]
    metric: str
    notes: tuple[str, ...]


def read_submission(
    path: str | os.PathLike[str], name: str, task: str, sha256: str | None = None
) -> Submission:
    """Read one task of a submission.

    Args:
        path: The `results.json.gz`.
        name: Name of the submission, for messages and columns.
        task: Official Matbench task.
        sha256: Checksum that the file must have; `None` accepts any.

    Raises:
        FoldwiseError: The task is not official, or the file is missing, damaged, another one, or
            lacks the task, a fold, or a row.
    """
    content = read_content(Path(path))
    return submitted_task(content, name, task, str(path), _checked_sha256(path, name, sha256))


def submitted_task(
    content: Mapping[str, Any], name: str, task: str, where: str, sha256: str
) -> Submission:
    """One task of a submission whose file has been read.

    Args:
        content: What `read_content` gives.
        name: Name of the submission.
        task: Official Matbench task.
        where: The file, for messages.
        sha256: Checksum of the file.

    Raises:
        FoldwiseError: The task is not official, or the submission lacks it, a fold, or a row.
    """
    official = any_official_task(task)
    if official is None:
        raise FoldwiseError(
            f"{task!r} is no official Matbench task, so no submission has predictions for it",
            where=f"submission {name}",
            hint="Use recorded teachers with official tasks only.",
        )
    metric = metric_name(official.is_classification)
    folds = task_folds(content, official, where)
    found = {}
    for number, fold in enumerate(folds):
        place, values = fold_predictions(fold, official, number, where)
        found[place] = (number, values, published_score(fold, metric, number, where))
    if len(found) < len(folds):
        raise FoldwiseError(
            "two of its folds hold the test rows of the same official fold", where=where, hint=AGAIN
        )
    order = [found[place] for place in range(len(folds))]
    renumbered = [number for number, _, _ in order] != list(range(len(folds)))
    return Submission(
        name=name,
        task=task,
        sha256=sha256,
        recorded=str(content.get("datestamp", "")),
        predictions=[values for _, values, _ in order],
        published=[score for _, _, score in order],
        metric=metric,
        notes=("its folds are numbered in another order",) if renumbered else (),
    )


def recorded_scores(submission: Submission, targets: pd.Series[float]) -> dict[str, Any]:
    """Compute the fold scores of a submission again and compare them with the published ones.

    Args:
        submission: The submission.
        targets: True values by id. A fold whose rows are not all there cannot be checked.

    Returns:
        For `scores.json`: name, task, sha256, recorded, `folds` (fold, n, rows present, published
        and recomputed MAE or ROC-AUC, the latter `None` where rows are missing), the mean of the
        published ones, and `verified` (every fold was checked).

    Raises:
        FoldwiseError: A published score differs by more than `SCORE_TOLERANCE`.
    """
    metric = submission.metric
    folds = [
        _fold_score(submission, number, targets) for number in range(len(submission.predictions))
    ]
    return {
        "name": submission.name,
        "task": submission.task,
        "sha256": submission.sha256,
        "recorded": submission.recorded,
        "folds": folds,
        f"published_{metric}_mean": float(np.mean(submission.published)),
        "verified": all(fold[f"recomputed_{metric}"] is not None for fold in folds),
    }


def recorded_predictions(submission: Submission, ids: pd.Index[str]) -> pd.DataFrame:
    """What the submission predicted for the rows `ids`, in their order: id, fold, prediction."""
    table = pd.concat(
        pd.DataFrame({"fold": np.int32(number), "prediction": values})
        for number, values in enumerate(submission.predictions)
    )
    return table.loc[ids].rename_axis("id").reset_index()


def _fold_score(
    submission: Submission, number: int, targets: pd.Series[float]
) -> dict[str, float | int | None]:
    predicted = submission.predictions[number]
    present = predicted.index.intersection(targets.index)
    published = submission.published[number]
    score: dict[str, float | int | None] = {
        "fold": number,
        "n": len(predicted),
        "present": len(present),
        f"published_{submission.metric}": published,
        f"recomputed_{submission.metric}": None,
    }
    if len(present) < len(predicted):
        return score
    true = np.asarray(targets.loc[predicted.index], dtype=np.float64)
    values = np.asarray(predicted, dtype=np.float64)
    classes = submission.metric == "rocauc"
    recomputed = [fold_score(true, values, classes)]
    if classes:
        recomputed.append(probability_rocauc(true, values))
    closest = min(recomputed, key=lambda score: abs(score - published))
    if abs(closest - published) > SCORE_TOLERANCE:
        named = "a ROC-AUC" if classes else "an MAE"
        raise FoldwiseError(
            f"fold {number} states {named} of {published:.6f}, its predictions give "
            f"{recomputed[0]:.6f} (they may differ by {SCORE_TOLERANCE:g})",
            where=f"submission {submission.name}",
            hint="Check that its file and the targets are the official ones.",
        )
    return {**score, f"recomputed_{submission.metric}": recomputed[0]}


def _checked_sha256(path: str | os.PathLike[str], name: str, expected: str | None) -> str:
    actual = file_sha256(path)
    if expected and actual != expected:
        raise FoldwiseError(
            f"sha256 is {actual[:12]}…, expected {expected[:12]}…",
            where=str(path),
            hint=f"{AGAIN} Or correct submissions.{name}.sha256 in the config.",
        )
    return actual
