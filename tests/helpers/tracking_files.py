"""Made-up runs for the tests of the registry: no training, no files but their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import write_json, write_parquet
from foldwise.tracking.record.code_state import CodeState
from foldwise.tracking.record.entries import Entry
from foldwise.tracking.record.identity import run_identity
from foldwise.tracking.record.lifecycle import complete, start
from foldwise.tracking.record.registry import Registry

CLEAN = CodeState("a" * 40, "main", False, None)


def make_config(experiment: str = "e0", **recipe: Any) -> dict[str, Any]:
    """A resolved config; keyword arguments go into the recipe."""
    return {
        "experiment": experiment, "title": f"Title of {experiment}", "run": "", "task": "toy_gap",
        "recipe_name": "baseline", "recipe": {"lr": 0.001, "epochs": 3, **recipe}, "seeds": [0],
        "report": {"worst_n": 1},
    }  # fmt: skip


def make_record(
    mae: float = 0.05,
    comparisons: tuple[dict[str, Any], ...] = (),
    n: int = 40,
    review: str | None = None,
) -> dict[str, Any]:
    """The parts of a `results.json` that the registry reads."""
    return {
        "config_id": "e0_0123abcd", "unit": "eV", "provenance": {"dataset_sha256": "d" * 64},
        "leakage": {"test_structures_presumably_seen": False},
        "metrics": {
            "aggregate": {
                "n": n, "mae_mean": mae, "mae_std": 0.001, "rmse_mean": 2 * mae,
            },
            "pooled": {"mae": mae, "interval": [0.9 * mae, 1.1 * mae]},
        },
        "compute": {
            "wall_time_sec": 12.0, "sec_per_epoch": 1.0, "num_params": 1000,
            "peak_memory_bytes": None,
            "inference": {"passes_per_prediction": 1, "structures_per_s": 90.0},
        },
        "decision": {"comparisons": list(comparisons), "review": review},
    }  # fmt: skip


def make_results(
    folder: Path, config: dict[str, Any], mae: float = 0.05, rows: int = 40, **record: Any
) -> Path:
    """A finished experiment folder, as far as the registry reads it."""
    generator = np.random.default_rng(int(mae * 1e6))
    target = np.linspace(-1, 1, rows)
    prediction = target + generator.normal(0, mae, rows)
    names = [f"crystal-{row:03d}" for row in range(rows)]
    table = pd.DataFrame(
        {"id": names, "formula": names, "target": target, "prediction": prediction}
    )
    write_parquet(folder / "predictions.parquet", table)
    write_json(folder / "config.json", config)
    write_json(folder / "results.json", make_record(mae, **record))
    return folder


def finished_run(
    registry: Registry, config: dict[str, Any], mae: float = 0.05, *, code: CodeState = CLEAN,
    **record: Any,
) -> Entry:  # fmt: skip
    """Start and complete a run."""
    folder = registry.folder(run_identity(config, code.git_commit, code.dirty_hash))
    results = make_results(registry.root / config["experiment"], config, mae, **record)
    with registry.change() as change:
        start(change, folder, config, code=code, study={"run": ""}, command="snakemake")
    with registry.change() as change:
        return complete(change, folder, results)
