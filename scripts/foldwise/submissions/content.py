"""The content of a submission's file: its folds and predictions, in the shapes that are out there.

What matbench writes is `{"tasks": {task: {"results": {"fold_0": {"data": {id: value}, …}}}}}`.
Files that people pass on differ from it without being wrong: plain JSON under a name in `.gz`,
folds as a list or under their bare numbers, a prediction in a list of its own, all predictions of a
fold as one list in the official order. Those are read. What leaves a prediction open is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import opened, read_json
from foldwise.tasks.official import OfficialTask, official_folds

AGAIN = "Copy or download the file again."
_GZIP = b"\x1f\x8b"


def read_content(path: Path) -> Mapping[str, Any]:
    """The JSON object of a submission, compressed or not.

    Raises:
        FoldwiseError: The file is missing, truncated, no JSON, or no submission.
    """
    absent = "Correct submissions_dir or the path, or leave both out to download it."
    with opened(path, packed=False, absent=absent) as file:
        packed = file.read(2) == _GZIP
    content = read_json(path, packed=packed, absent=absent, broken=AGAIN)
    if not isinstance(content, Mapping) or not isinstance(content.get("tasks"), Mapping):
        raise FoldwiseError(
            "the file is no Matbench submission (no object 'tasks')", where=str(path), hint=AGAIN
        )
    return content


def task_folds(
    content: Mapping[str, Any], official: OfficialTask, where: str
) -> list[Mapping[str, Any]]:
    """The folds of a task in the order of their names.

    Raises:
        FoldwiseError: The submission lacks the task or a fold.
    """
    tasks = content["tasks"]
    if official.name not in tasks:
        raise FoldwiseError(
            f"the submission has no {official.name} (its tasks: {', '.join(sorted(tasks))})",
            where=where,
            hint="Take it out of the members of this study.",
        )
    entry = tasks[official.name]
    results = entry.get("results") if isinstance(entry, Mapping) else None
    if isinstance(results, Sequence) and not isinstance(results, str):
        results = {f"fold_{number}": fold for number, fold in enumerate(results)}
    if not isinstance(results, Mapping):
        results = {}
    count = len(official_folds(official))
    folds = [results.get(f"fold_{number}", results.get(str(number))) for number in range(count)]
    missing = [number for number, fold in enumerate(folds) if not isinstance(fold, Mapping)]
    if missing:
        raise FoldwiseError(
            f"fold_{missing[0]} of {official.name} is missing", where=where, hint=AGAIN
        )
    return [fold for fold in folds if isinstance(fold, Mapping)]


def fold_predictions(
    fold: Mapping[str, Any], official: OfficialTask, number: int, where: str
) -> tuple[int, pd.Series[float]]:
    """Predictions of a fold by id, and which official fold their rows are the test rows of.

    It is another one than `number` where the folds were numbered in another order.

    Raises:
        FoldwiseError: Rows are missing, foreign or without a finite number.
    """
    tests = [split["test"] for split in official_folds(official)]
    data = fold.get("data")
    if isinstance(data, Sequence) and not isinstance(data, str) and len(data) == len(tests[number]):
        data = dict(zip(tests[number], data, strict=True))
    if not isinstance(data, Mapping) or not data:
        raise FoldwiseError(f"fold {number} has no predictions", where=where, hint=AGAIN)
    rows = set(data)
    found = next((place for place, test in enumerate(tests) if rows == set(test)), None)
    if found is None:
        expected = set(tests[number])
        lost, extra = expected - rows, rows - expected
        which = f"misses {min(lost)!r}" if lost else f"holds {min(extra, key=str)!r}"
        raise FoldwiseError(
            f"fold {number} has {len(rows & expected)} of {len(expected)} official test rows and "
            f"{which}",
            where=where,
            hint=AGAIN,
        )
    values = {row: _number(value, official.is_classification) for row, value in data.items()}
    bad = [row for row, value in values.items() if value is None]
    if bad:
        raise FoldwiseError(
            f"fold {number} has {len(bad)} prediction(s) that are no finite number, the first for "
            f"{bad[0]!r}",
            where=where,
            hint="Take the submission out of the members of this study.",
        )
    predictions = pd.Series(values, dtype="float64")
    if official.is_classification and not predictions.between(0.0, 1.0).all():
        raise FoldwiseError(
            f"fold {number} has class predictions outside of 0 to 1",
            where=where,
            hint="Give labels, or probabilities of True.",
        )
    return found, predictions


def _number(value: object, labels: bool) -> float | None:
    """A prediction as a number, also from a list of its own; None where it is none."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        return _number(value[0], labels)
    if isinstance(value, bool):
        return float(value) if labels else None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def published_score(fold: Mapping[str, Any], metric: str, number: int, where: str) -> float:
    """The score that a fold states.

    Raises:
        FoldwiseError: It states none.
    """
    scores = fold.get("scores")
    value = _number(scores.get(metric), labels=False) if isinstance(scores, Mapping) else None
    if value is None:
        named = {"mae": "MAE", "rocauc": "ROC-AUC"}[metric]
        raise FoldwiseError(f"fold {number} states no {named}", where=where, hint=AGAIN)
    return value
