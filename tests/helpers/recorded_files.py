"""Made-up submissions and targets for the smallest official task with structures (636 rows)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.tasks.official import official_folds, official_task

TASK = "matbench_jdft2d"
NAMES = ("alpha", "beta-2", "gamma")
_COMPOSITIONS = ("Mo1 S2", "C2", "H4 O2 Mg1", "Ga2 Se2", "Na1 Cl1")


def target_table() -> pd.DataFrame:
    """id, composition, target of every official row, in order; half of the targets are alike."""
    official = official_task(TASK)
    assert official is not None
    rows = np.arange(official.n_samples)
    generator = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "mbid": [official.crystal_id(row) for row in rows],
            "composition": [_COMPOSITIONS[row % len(_COMPOSITIONS)] for row in rows],
            "exfoliation_en": np.round(generator.gamma(2.0, 40.0, len(rows)), 3),
        }
    )


def write_targets(folder: Path) -> pd.Series:
    """Write `{folder}/matbench_jdft2d.csv.gz`; the targets by id."""
    folder.mkdir(parents=True, exist_ok=True)
    table = target_table()
    table.to_csv(folder / f"{TASK}.csv.gz", index=False)
    return table.set_index("mbid")["exfoliation_en"]


def submission(targets: pd.Series, number: int) -> dict[str, Any]:
    """The content of a submission whose errors are those of `number` (larger: worse)."""
    official = official_task(TASK)
    assert official is not None
    generator = np.random.default_rng(100 + number)
    results = {}
    for fold, split in enumerate(official_folds(official)):
        true = targets.loc[split["test"]].to_numpy()
        error = generator.laplace(0.0, 10.0 + 5.0 * number, len(true)) + 0.05 * number * true
        predicted = true + error
        results[f"fold_{fold}"] = {
            "data": dict(zip(split["test"], predicted.tolist(), strict=True)),
            "scores": {"mae": float(np.abs(error).mean())},
            "parameters": {},
        }
    return {
        "datestamp": "2024.01.01 00:00.00",
        "tasks": {TASK: {"dataset_name": TASK, "results": results}},
    }


def write_submission(path: Path, content: dict[str, Any]) -> Path:
    """Write a `results.json.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def write_submissions(folder: Path, targets: pd.Series) -> None:
    """Write `{folder}/{name}/results.json.gz` for every name."""
    for number, name in enumerate(NAMES):
        write_submission(folder / name / "results.json.gz", submission(targets, number))
