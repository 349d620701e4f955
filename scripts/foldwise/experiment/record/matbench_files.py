"""The files that the Matbench leaderboard takes: `results.json.gz` and `info.json`.

They are written through the matbench package, which records the five folds, scores them and
validates the whole; the package is slow to import, so it is loaded only where a task is complete.
"""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, write_json
from foldwise.experiment.comparison.fallback import fallback_rows, mae_of_all_rows
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.experiment.record.provenance import commit_time
from foldwise.tasks.official import any_official_task

FILES = ("matbench/results.json.gz", "matbench/info.json")
FILL_IN = "to be filled in before submission"
_SCORE_TOLERANCE = 1e-9


def matbench_block(inputs: ExperimentInputs, rows: TestRows) -> Json:
    """The `matbench` block of `results.json`: which files are written, or why none is."""
    reason = _incomplete(inputs, rows)
    return {
        "written": reason is None,
        "files": list(FILES) if reason is None else [],
        "reason": reason,
    }


def write_matbench(folder: Path, inputs: ExperimentInputs, rows: TestRows, record: Json) -> None:
    """Write both files below `folder`, read the results back, and compare the scores.

    Raises:
        FoldwiseError: The package's own validation fails, or other scores are read back.
    """
    parts = [table.set_index("id")["prediction"] for table in (rows.table, fallback_rows(inputs))]
    write_submission(
        folder,
        inputs.task,
        inputs.targets["target"],
        pd.concat([part for part in parts if len(part)]),
        params=dict(record["hyperparams"]),
        metadata={"algorithm": record["title"], "config_id": record["config_id"]},
        expected=mae_of_all_rows(record),
    )
    write_json(folder / "info.json", _info(inputs, record))


def write_submission(
    folder: Path,
    task: str,
    targets: pd.Series[float],
    answers: pd.Series[float],
    *,
    params: Json,
    metadata: Json,
    expected: float,
) -> None:
    """Write `results.json.gz` of a complete official task below `folder`, and read it back.

    Args:
        folder: Where the file goes.
        task: The task; of a class, the answers are probabilities of True.
        targets: True values by id.
        answers: Answers by id.
        params: What the file states about the model.
        metadata: What it states about the run.
        expected: The mean score (MAE, or ROC-AUC as Matbench computes it) that it must have.

    Raises:
        FoldwiseError: The package's own validation fails, or another score is read back.
    """
    from matbench.bench import MatbenchBenchmark  # noqa: PLC0415 (seconds to import)

    logging.getLogger("matbench").setLevel(logging.CRITICAL)
    benchmark = MatbenchBenchmark(autoload=False, subset=[task])
    official = any_official_task(task)
    classes = official is not None and official.is_classification
    _record_folds(benchmark.tasks_map[task], targets > 0.5 if classes else targets, answers, params)
    errors = benchmark.validate()
    if errors:
        raise FoldwiseError(
            f"matbench does not accept the predictions ({str(errors).strip()[-200:]})",
            where=f"matbench/results.json.gz of {task}",
            hint="Make the predictions again.",
        )
    benchmark.add_metadata(metadata)
    text = _stable_text(benchmark.as_dict())
    metric = "rocauc" if classes else "mae"
    with atomic_path(folder / "results.json") as plain:
        # The package reads plain JSON only; what is kept is the same text, compressed.
        plain.write_text(text, encoding="utf-8")
        scores = MatbenchBenchmark.from_file(str(plain)).tasks_map[task].scores
        _check_scores(task, float(scores[metric]["mean"]), expected)
    (folder / "results.json").unlink()
    with atomic_path(folder / "results.json.gz") as packed:
        packed.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def _incomplete(inputs: ExperimentInputs, rows: TestRows) -> str | None:
    """Why there is no submission; `None` where every official row has a prediction."""
    official = any_official_task(inputs.task)
    if official is None:
        return f"{inputs.task} is no official Matbench task."
    if not all(split.official for split in inputs.splits.values()):
        return f"The folds are not the published ones of {official.name}."
    answered = len(rows.table) + len(fallback_rows(inputs))
    if answered == official.n_samples:
        return None
    return (
        f"{answered:,} of the {official.n_samples:,} rows of {official.name} have a "
        "prediction; the leaderboard takes complete tasks only."
    )


def _record_folds(
    task: Any, targets: pd.Series[Any], answers: pd.Series[float], params: Json
) -> None:
    # The package scores against its own table; structures are not needed for that.
    task.df = pd.DataFrame({task.metadata.input_type: None, task.metadata.target: targets})
    for number, key in task.folds_map.items():
        order = list(task.validation[key].test)
        # Numbers other than Python's own fail its validation.
        predictions = [float(value) for value in answers.loc[order]]
        task.record(number, predictions, params=dict(params))


def _stable_text(content: dict[str, Any]) -> str:
    """The package's JSON with the date of the code instead of the hour of the run."""
    from matbench.util import hash_dictionary  # noqa: PLC0415 (seconds to import)

    content["datestamp"] = commit_time().strftime("%Y.%m.%d %H:%M.%S")
    content.pop("hash")
    content["hash"] = hash_dictionary(content)
    return json.dumps(content, allow_nan=False)


def _check_scores(task: str, score: float, wanted: float) -> None:
    if abs(score - wanted) > _SCORE_TOLERANCE * max(1.0, wanted):
        raise FoldwiseError(
            f"the file reads back with a mean score of {score}, not {wanted}",
            where=f"matbench/results.json.gz of {task}",
            hint="Check that targets and folds are the official ones.",
        )


def _info(inputs: ExperimentInputs, record: Json) -> Json:
    """`info.json` with the keys that the Matbench repository asks for."""
    packages = dict(record["provenance"]["packages"])
    if inputs.combined is not None:
        for unused in ("torch", "chgnet"):
            packages.pop(unused)
    return {
        "authors": FILL_IN,
        "algorithm": f"Foldwise {inputs.name}",
        "algorithm_long": f"{record['title']}. {inputs.config['purpose']}",
        "bibtex_refs": FILL_IN,
        "notes": " ".join(
            [
                record["leakage"]["statement"],
                *(
                    [record["metrics"]["fallback"]["statement"]]
                    if record["metrics"]["fallback"]
                    else []
                ),
            ]
        ),
        "requirements": {
            "python": [f"{name}=={version}" for name, version in packages.items() if version]
        },
    }
