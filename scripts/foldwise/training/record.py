"""What fit.json says about a finished training: outcome and cost."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Mapping
from typing import Any

import torch

from foldwise.study.recipe import Recipe
from foldwise.training.fit import FitResult


def outcome(result: FitResult, recipe: Recipe) -> dict[str, Any]:
    """How the training ended, and the errors at its best epoch."""
    progress = result.progress
    best = progress.history[progress.best_epoch - 1]
    return {
        "best_epoch": progress.best_epoch,
        "epochs_run": progress.epoch,
        "epochs_max": recipe.epochs,
        "passes": result.passes,
        "early_stopped": result.early_stopped,
        "patience": recipe.patience,
        "stop_reason": "no better epoch within the patience"
        if result.early_stopped
        else "all epochs run",
        "train_mae_at_best": best["train_mae"],
        "val_mae_at_best": best["val_mae"],
        "train_loss_at_best": best["train_loss"],
        "val_mae_last5": [epoch["val_mae"] for epoch in progress.history[-5:]],
    }


def compute(
    result: FitResult,
    device: torch.device,
    *,
    threads: int,
    engine: str,
    precision: str,
    seconds: float,
    cpu_seconds: float,
    pretraining: Mapping[str, float],
) -> dict[str, Any]:
    """What the training cost.

    Args:
        result: The training.
        device: Where it ran.
        threads: CPU threads.
        engine: What ran the network.
        precision: Of matrix products.
        seconds: Wall time of the training, interrupted processes included.
        cpu_seconds: As `seconds`, over all threads.
        pretraining: `wall_time_sec`, `cpu_time_sec` and `passes` of the joint pretraining before
            it; empty without one.
    """
    before = {"wall_time_sec": 0.0, "cpu_time_sec": 0.0, "passes": 0.0, **pretraining}
    on_gpu = device.type == "cuda"
    host_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "device": device.type,
        "gpu_name": torch.cuda.get_device_name(device) if on_gpu else None,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "wall_time_sec": seconds + before["wall_time_sec"],
        "pretraining_time_sec": before["wall_time_sec"],
        "pretraining_passes": int(before["passes"]),
        "cpu_time_sec": cpu_seconds + before["cpu_time_sec"],
        "host_peak_memory_bytes": host_peak,
        "sec_per_epoch": statistics.median(result.seconds_per_epoch or [0.0]),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else host_peak,
        "steps": result.steps,
        "resumed_from_epoch": result.resumed_from_epoch,
    }
