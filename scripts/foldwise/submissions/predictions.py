"""Recorded teachers: the test predictions that a Matbench submission keeps, fold by fold.

A submission is a `results.json.gz` as the matbench package writes it. It states a score for each
fold; the score is computed again from its predictions, so that a damaged file, other folds or
another dataset are found before anything is built on them.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.statistics.metrics import fold_metrics
from foldwise.tasks.official import OfficialTask, official_folds, official_task

SCORE_TOLERANCE = 1e-4
"""By how much a published fold score may differ from the one that is computed again."""

_AGAIN = "Copy or download the file again."


@dataclass(frozen=True)
class Submission:
    """One task of a submission, checked for form but not yet for its scores.

    Attributes:
        name: What the config calls it.
        task: Official task.
        sha256: Checksum of the file.
        recorded: Date on which matbench recorded it, as it stands in the file; may be empty.
        predictions: By fold, the prediction for each official test row of the fold, by id.
        published: By fold, the MAE that the submission states.
    """

    name: str
    task: str
    sha256: str
    recorded: str
    predictions: list[pd.Series[float]]
    published: list[float]


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
    official = official_task(task)
    if official is None:
        raise FoldwiseError(
            f"{task!r} is no official Matbench task, so no submission has predictions for it",
            where=f"submission {name}",
            hint="Use recorded teachers with official tasks only.",
        )
    where = str(path)
    content = _content(Path(path))
    actual = file_sha256(path)
    if sha256 and actual != sha256:
        raise FoldwiseError(
            f"sha256 is {actual[:12]}…, expected {sha256[:12]}…",
            where=where,
            hint=f"{_AGAIN} Or correct submissions.{name}.sha256 in the config.",
        )
    folds = _folds(content, official, where)
    published = official_folds(official)
    return Submission(
        name=name,
        task=task,
        sha256=actual,
        recorded=str(content.get("datestamp", "")),
        predictions=[
            _predictions(fold, set(published[number]["test"]), number, where)
            for number, fold in enumerate(folds)
        ],
        published=[_published_mae(fold, number, where) for number, fold in enumerate(folds)],
    )


def recorded_scores(submission: Submission, targets: pd.Series[float]) -> dict[str, Any]:
    """Compute the fold scores of a submission again and compare them with the published ones.

    Args:
        submission: The submission.
        targets: True values by id. A fold whose rows are not all there cannot be checked.

    Returns:
        For `scores.json`: name, task, sha256, recorded, `folds` (fold, n, rows present, published
        and recomputed MAE, the latter `None` where rows are missing), `published_mae_mean`, and
        `verified` (every fold was checked).

    Raises:
        FoldwiseError: A published score differs by more than `SCORE_TOLERANCE`.
    """
    folds = [
        _fold_score(submission, number, targets) for number in range(len(submission.predictions))
    ]
    return {
        "name": submission.name,
        "task": submission.task,
        "sha256": submission.sha256,
        "recorded": submission.recorded,
        "folds": folds,
        "published_mae_mean": float(np.mean(submission.published)),
        "verified": all(fold["recomputed_mae"] is not None for fold in folds),
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
        "published_mae": published,
        "recomputed_mae": None,
    }
    if len(present) < len(predicted):
        return score
    true = targets.loc[predicted.index].to_numpy(dtype=np.float64)
    recomputed = float(fold_metrics(true, predicted.to_numpy(dtype=np.float64))["mae"])
    if abs(recomputed - published) > SCORE_TOLERANCE:
        raise FoldwiseError(
            f"fold {number} states an MAE of {published:.6f}, its predictions give "
            f"{recomputed:.6f} (they may differ by {SCORE_TOLERANCE:g})",
            where=f"submission {submission.name}",
            hint="Check that its file and the targets are the official ones.",
        )
    return {**score, "recomputed_mae": recomputed}


def _content(path: Path) -> Mapping[str, Any]:
    problem = None
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
    except FileNotFoundError:
        raise FoldwiseError(
            "the submission is not there",
            where=str(path),
            hint="Correct submissions_dir or the path, or leave both out to download it.",
        ) from None
    except (EOFError, zlib.error):
        problem = "the file is truncated"
    except gzip.BadGzipFile:
        problem = "the file is not gzip"
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        problem = f"the file cannot be read ({error})"
    if problem:
        raise FoldwiseError(problem, where=str(path), hint=_AGAIN)
    if not isinstance(content, Mapping) or not isinstance(content.get("tasks"), Mapping):
        raise FoldwiseError(
            "the file is no Matbench submission (no object 'tasks')", where=str(path), hint=_AGAIN
        )
    return content


def _folds(
    content: Mapping[str, Any], official: OfficialTask, where: str
) -> list[Mapping[str, Any]]:
    tasks = content["tasks"]
    if official.name not in tasks:
        raise FoldwiseError(
            f"the submission has no {official.name} (its tasks: {', '.join(sorted(tasks))})",
            where=where,
            hint="Take it out of the members of this study.",
        )
    results = tasks[official.name].get("results", {})
    names = [f"fold_{number}" for number in range(len(official_folds(official)))]
    missing = [name for name in names if not isinstance(results.get(name), Mapping)]
    if missing:
        raise FoldwiseError(f"{missing[0]} of {official.name} is missing", where=where, hint=_AGAIN)
    return [results[name] for name in names]


def _predictions(
    fold: Mapping[str, Any], expected: set[str], number: int, where: str
) -> pd.Series[float]:
    data = fold.get("data")
    if not isinstance(data, Mapping):
        raise FoldwiseError(f"fold {number} has no predictions", where=where, hint=_AGAIN)
    if set(data) != expected:
        lost, extra = expected - set(data), set(data) - expected
        which = f"misses {min(lost)!r}" if lost else f"holds {min(extra)!r}"
        raise FoldwiseError(
            f"fold {number} has {len(data)} of {len(expected)} official test rows and {which}",
            where=where,
            hint=_AGAIN,
        )
    bad = [row for row, value in data.items() if not _finite(value)]
    if bad:
        raise FoldwiseError(
            f"fold {number} has {len(bad)} prediction(s) that are no finite number, the first for "
            f"{bad[0]!r}",
            where=where,
            hint="Take the submission out of the members of this study.",
        )
    return pd.Series(data, dtype=np.float64)


def _published_mae(fold: Mapping[str, Any], number: int, where: str) -> float:
    scores = fold.get("scores")
    value = scores.get("mae") if isinstance(scores, Mapping) else None
    if not _finite(value):
        raise FoldwiseError(f"fold {number} states no MAE", where=where, hint=_AGAIN)
    return float(value)  # type: ignore[arg-type]


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
