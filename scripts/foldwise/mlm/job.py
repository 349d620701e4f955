"""One checkpoint from its folder to its result folder and its printed report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.job import Evaluation, EvaluationSettings, evaluate
from foldwise.mlm.report.folder import write_result
from foldwise.mlm.report.places import folder_of, keep_other_result
from foldwise.mlm.report.printed import report_text
from foldwise.mlm.report.record import ReportSettings
from foldwise.mlm.texts.text import read_texts


@dataclass(frozen=True)
class SingleRun:
    """What is evaluated, and what is written about it.

    Attributes:
        checkpoint: Folder of the model.
        output_dir: Where the results go; beside the checkpoint if `None`.
        samples: Frozen sample file.
        lambada: Ko-LAMBADA file or `hf://` name, or `None`.
        baseline: Known result to compare with, or `None`.
        training_texts: Texts that the model was trained on; empty where they are not known.
        worst_n: Sample texts per group.
        resamples: Bootstrap resamples of each interval.
        cache: Folder of the answers.
        matching: `exact` or `reference`: whose rates have the short names.
    """

    checkpoint: str
    output_dir: Path | None
    samples: Path
    lambada: str | Path | None
    baseline: dict[str, Any] | None
    training_texts: Sequence[Path]
    worst_n: int
    resamples: int
    cache: Path
    matching: str = "exact"


def evaluate_one(run: SingleRun, settings: EvaluationSettings) -> str:
    """Evaluate, write the result folder, and return the report.

    Raises:
        FoldwiseError: An input is missing or broken, or the folder holds another result.
    """
    started = time.perf_counter()
    folder = folder_of(run.checkpoint, run.output_dir)
    keep_other_result(folder, run.checkpoint, settings.seq_len)
    evaluation = evaluate(run.checkpoint, run.samples, run.lambada, settings, run.cache)
    keep_other_result(folder, run.checkpoint, evaluation.seq_len)
    training = [text for path in run.training_texts for text in read_texts(path)]
    results = write_result(
        evaluation,
        folder,
        ReportSettings(
            run.resamples, run.worst_n, _command(run, settings, evaluation), run.matching
        ),
        training or None,
        run.baseline,
    )
    return report_text(results, run.baseline, time.perf_counter() - started)


def given_baseline(text: str | None, default: dict[str, Any] | None) -> dict[str, Any] | None:
    """The baseline that `--baseline` names as JSON, else the config's.

    Raises:
        FoldwiseError: The text is no JSON object with the three rates, nor `null`.
    """
    if text is None:
        return default
    value: dict[str, Any] | None
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = {}
    needed = ("checkpoint", "seq_len", "real1", "real5", "lambada_top1")
    complete = isinstance(value, dict) and all(key in value for key in needed)
    if value is not None and not complete:
        raise FoldwiseError(
            f"no JSON object with the keys {', '.join(needed)}",
            where="--baseline",
            hint="Write it as in config/mlm.yaml, or null.",
        )
    return value


def _command(run: SingleRun, settings: EvaluationSettings, evaluation: Evaluation) -> str:
    parts = {
        "--checkpoint": evaluation.checkpoint,
        "--seq-len": evaluation.seq_len,
        "--samples": run.samples,
        "--lambada": run.lambada,
        "--matching": None if run.matching == "exact" else run.matching,
        "--multi-token": "pll" if settings.multi_token == "pll" else None,  # noqa: S105
        "--limit": settings.limit,
        "--limit-seed": settings.limit_seed if settings.limit else None,
        "--training-texts": " ".join(map(str, run.training_texts)) or None,
        "--output-dir": run.output_dir,
    }
    given = [f"{flag} {value}" for flag, value in parts.items() if value is not None]
    return " ".join(["python scripts/evaluate_checkpoint.py", *given])
