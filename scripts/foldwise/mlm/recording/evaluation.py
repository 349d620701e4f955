"""Evaluations of checkpoints as runs of the registry."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foldwise.common.files import canonical_sha256, file_sha256, read_json
from foldwise.mlm.evaluation.job import EvaluationSettings
from foldwise.mlm.job import SingleRun, evaluate_one
from foldwise.mlm.recording.hashes import folder_hash
from foldwise.mlm.report.places import folder_of, results_path
from foldwise.mlm.texts.hub import is_hub
from foldwise.tracking.calls.program import Outcome, ProgramRun, tracked
from foldwise.tracking.record.decision import DISCARD, KEEP, NEEDS_REVIEW

_RATES = (
    "real1", "real5", "lambada_top1", "score", "coverage", "pll1", "floor_real1", "floor_real5"
)  # fmt: skip
_KEPT = (
    "results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet",
    "groups/_index.csv", "diagnostics/review.json",
)  # fmt: skip


def record_evaluation(registry: Path, run: SingleRun, settings: EvaluationSettings) -> str:
    """`evaluate_one` as a run of the registry; arguments and errors are its own.

    Runs on one sample set are one task. A run is ranked by the composite score, or by Real@1 where
    no Ko-LAMBADA file gives one. It is discarded where its interval of Real@1 ends below that of
    the best run of its task.
    """
    samples = file_sha256(run.samples) if run.samples.is_file() else "absent"
    # A dataset of the hub is read later; until then its name stands for it.
    lambada = str(run.lambada) if run.lambada and is_hub(run.lambada) else None
    if run.lambada and Path(run.lambada).is_file():
        lambada = file_sha256(run.lambada)
    name = os.path.normpath(run.checkpoint)
    task = f"masked_lm_{run.samples.stem}_{samples[:8]}"
    config = {
        "experiment": name,
        "title": f"Evaluation of {Path(name).name}",
        "task": task,
        "recipe_name": "evaluation",
        "recipe": {
            # What decides the answers; threads and batches do not.
            **{key: value for key, value in asdict(settings).items()
               if key not in ("threads", "token_budget", "device")},
            "resamples": run.resamples,
        },
        "seeds": None,
        "model": folder_hash(Path(run.checkpoint)),
        "samples_sha256": samples,
        "lambada_sha256": lambada,
    }  # fmt: skip
    started = time.perf_counter()
    with tracked(registry, config) as going:
        text = evaluate_one(run, settings)
        folder = folder_of(run.checkpoint, run.output_dir)
        results = read_json(results_path(folder))
        review = read_json(folder / "diagnostics" / "review.json")
        metrics = _metrics(results, time.perf_counter() - started)
        ranked_by = "score" if "score" in metrics else "real1"
        verdict, reason = _decision(going, task, results, review)
        going.outcome = Outcome(
            results=str(folder),
            results_id=read_json(folder / "results.json")["config_id"],
            unit="share of questions",
            dataset_sha256=canonical_sha256([samples, lambada]) if lambada else samples,
            metrics=metrics,
            ranked_by=ranked_by,
            direction="max",
            verdict=verdict,
            reason=reason,
            copied={
                **{one: folder / one for one in _KEPT},
                "eval_results.json": results_path(folder),
            },
            referred={
                f"model/{path.name}": path
                for path in sorted(Path(run.checkpoint).glob("*.safetensors"))
            },
            test_presumably_seen=_seen(review),
        )
    return text


def _metrics(results: dict[str, Any], seconds: float) -> dict[str, float]:
    numbers = {
        "n": results["coref_samples"],
        **{name: results[name] for name in _RATES},
        "real1_low": results["real1_interval"][0],
        "real1_high": results["real1_interval"][1],
        "lambada_samples": results["lambada_samples"],
        "wall_time_sec": seconds,
    }
    return {
        name: float(value)
        for name, value in numbers.items()
        if value is not None and math.isfinite(value)
    }


def _seen(review: dict[str, Any]) -> bool | None:
    """Whether evaluation texts share phrases with the training; `None` where it is not known."""
    state = next(one["state"] for one in review["checks"] if one["name"] == "train_overlap")
    return None if state == "look" else state == "failed"


def _decision(
    going: ProgramRun, task: str, results: dict[str, Any], review: dict[str, Any]
) -> tuple[str, str]:
    """Verdict and reason: a failed check of the review, else the best run of the same samples."""
    failed = [one for one in review["checks"] if one["state"] == "failed"]
    if failed:
        return NEEDS_REVIEW, f"{failed[0]['name']}: {failed[0]['text']}"
    others = [
        entry
        for entry in going.registry.entries().values()
        if entry["task"] == task
        and entry["is_best"]
        and entry["identity"] != going.identity
        and "real1" in entry["metrics"]
    ]
    if not others:
        return KEEP, "the first run on these samples"
    best = max(others, key=lambda entry: float(entry["metrics"]["real1"]))
    value, high = float(best["metrics"]["real1"]), float(results["real1_interval"][1])
    where = f"{best['experiment']} ({best['identity']})"
    if high < value:
        return DISCARD, f"Real@1 at most {high:.4f} (95 %), below {value:.4f} of {where}"
    return KEEP, f"Real@1 {results['real1']:.4f} beside {value:.4f} of the best run, {where}"
