"""Searches over fine-tunings as runs of the registry."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foldwise.common.files import canonical_sha256, file_sha256
from foldwise.mlm.recording.hashes import folder_hash
from foldwise.mlm.training.tuning import Search, search
from foldwise.statistics.wording import plural
from foldwise.tracking.calls.program import Outcome, tracked


def record_search(
    registry: Path, task: Search, metric: str, trials: int, seed: int
) -> dict[str, Any]:
    """`search` of mlm/training as a run of the registry; arguments and errors are its own."""
    samples = file_sha256(task.samples) if task.samples.is_file() else "absent"
    texts = task.dataset / "training.jsonl"
    config = {
        "experiment": str(task.out),
        "title": f"Search of {plural(trials, 'fine-tuning')} by {metric}",
        "task": f"entity_search_{samples[:8]}",
        "recipe_name": "search",
        "recipe": {
            "space": asdict(task.space), "plan": asdict(task.plan), "metric": metric,
            "trials": trials,
        },
        "seeds": [seed],
        "start": folder_hash(task.checkpoint),
        "samples_sha256": samples,
        "texts_sha256": file_sha256(texts) if texts.is_file() else "absent",
    }  # fmt: skip
    started = time.perf_counter()
    with tracked(registry, config) as run:
        best = search(task, metric, trials, seed)
        weights = Path(best["checkpoint"]) / "model.safetensors"
        run.outcome = Outcome(
            results=str(task.out / "best.json"),
            results_id=f"search_{canonical_sha256(config)[:8]}",
            unit="share of questions",
            dataset_sha256=samples,
            metrics={
                "n": best["trials"], metric: best["value"],
                "wall_time_sec": time.perf_counter() - started,
            },
            ranked_by=metric,
            direction="max",
            verdict="keep",
            reason=f"the best of {plural(best['trials'], 'trial')}",
            copied={
                "best.json": task.out / "best.json",
                "history/trials.csv": task.out / "trials.csv",
            },
            referred={"checkpoint-best/model.safetensors": weights},
        )  # fmt: skip
    return best
