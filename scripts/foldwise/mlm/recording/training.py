"""Trainings and fine-tunings as runs of the registry."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256
from foldwise.mlm.declaration import BertSize
from foldwise.mlm.recording.hashes import folder_hash
from foldwise.mlm.training.checkpoints import BEST
from foldwise.mlm.training.job import dataset_hashes, finetune_entities, pretrain
from foldwise.mlm.training.trainer import TrainingPlan
from foldwise.tracking.calls.program import Outcome, tracked

LAST_STEPS = 20
"""Steps whose mean loss stands for a training's: that of one batch is noise."""


def record_pretraining(
    registry: Path,
    texts: Path,
    size: BertSize,
    checkpoint: Path | None,
    *,
    plan: TrainingPlan,
    out: Path,
) -> dict[str, Any]:
    """`pretrain` of mlm/training as a run of the registry; arguments and errors are its own."""
    config = {
        "experiment": str(out),
        "title": "Masked-LM training, " + ("continued" if checkpoint else "from random weights"),
        "task": f"masked_lm_training_{_short_hash(texts)}",
        "recipe_name": "mlm",
        "recipe": {"plan": asdict(plan), "size": None if checkpoint else asdict(size)},
        "seeds": [plan.rules.seed],
        "start": folder_hash(checkpoint) if checkpoint else None,
        "texts_sha256": _hash(texts),
    }
    return _record(registry, config, out, lambda: pretrain(texts, size, checkpoint, plan, out))


def record_finetuning(
    registry: Path, checkpoint: Path, dataset: Path, plan: TrainingPlan, out: Path
) -> dict[str, Any]:
    """`finetune_entities` as a run of the registry; arguments and errors are its own."""
    texts, heldout = dataset_hashes(dataset)
    config = {
        "experiment": str(out),
        "title": "Entity fine-tuning",
        "task": f"entity_finetuning_{heldout[:8]}",
        "recipe_name": "entity",
        "recipe": {"plan": asdict(plan)},
        "seeds": [plan.rules.seed],
        "start": folder_hash(checkpoint),
        "texts_sha256": texts,
    }
    return _record(registry, config, out, lambda: finetune_entities(checkpoint, dataset, plan, out))


def _hash(path: Path) -> str:
    return file_sha256(path) if path.is_file() else "absent"


def _short_hash(path: Path) -> str:
    return _hash(path)[:8]


def _record(
    registry: Path, config: dict[str, Any], out: Path, work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    started = time.perf_counter()
    with tracked(registry, config) as run:
        record = work()
        history = record["history"]
        metrics = {
            "n": record["n_heldout_questions"] or record["n_texts"],
            "steps": record["steps"],
            "train_loss": _mean([row["loss"] for row in history][-LAST_STEPS:]),
            "heldout_real1": max(_known(row["heldout_real1"] for row in history), default=None),
            "heldout_loss": min(_known(row["heldout_loss"] for row in history), default=None),
            "num_params": record["parameters"],
            "n_cut_texts": record["n_cut_texts"],
            "wall_time_sec": time.perf_counter() - started,
        }
        measured = metrics["heldout_real1"] is not None
        last = BEST if record["best_step"] is not None else f"checkpoint-{record['steps']}"
        reason = (
            f"stopped early, best at step {record['best_step']}"
            if record["early_stopped"]
            else "all steps run"
        )
        run.outcome = Outcome(
            results=str(out / "training.json"),
            results_id=f"{config['recipe_name']}_{canonical_sha256(config)[:8]}",
            unit="share of held-out questions" if measured else "nats per hidden token",
            dataset_sha256=_full(record["texts_sha256"]),
            metrics={key: value for key, value in metrics.items() if value is not None},
            ranked_by="heldout_real1" if measured else "train_loss",
            direction="max" if measured else "min",
            verdict="keep",
            reason=reason,
            copied={
                "training.json": out / "training.json",
                "history/training.csv": out / "history.csv",
            },
            referred={
                f"{last}/{path.name}": path for path in sorted((out / last).glob("*.safetensors"))
            },
        )
    return record


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: list[Any]) -> float | None:
    known = _known(values)
    return mean(known) if known else None


def _full(sha256: str) -> str:
    if len(sha256) != 64:
        raise FoldwiseError("no SHA-256", where="texts_sha256", hint="Train again.")
    return sha256
