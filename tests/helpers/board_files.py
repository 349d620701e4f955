"""Made-up members of official tasks of every kind, for tests of the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.submissions.board.rows import Rows
from foldwise.tasks.official import any_official_task, official_folds

STEELS, CLASSES = "matbench_steels", "matbench_expt_is_metal"
FORMULAS = ("NaCl", "MgO", "Ca(NO3)2", "Fe2O3", "Na2O", "MgCl2", "SiO2", "Al2O3")


def targets_of(task: str) -> pd.DataFrame:
    """id, composition and target of every official row of a task of compositions."""
    official = any_official_task(task)
    assert official is not None
    rows = np.arange(official.n_samples)
    generator = np.random.default_rng(8)
    values = (
        generator.random(len(rows)) < 0.4
        if official.is_classification
        else np.round(1000 + 300 * generator.random(len(rows)), 1)
    )
    return pd.DataFrame(
        {
            "mbid": [official.crystal_id(row) for row in rows],
            "composition": [FORMULAS[row % len(FORMULAS)] for row in rows],
            official.target: values,
        }
    )


def write_targets_of(folder: Path, task: str) -> pd.Series:
    """Write `{folder}/{task}.csv.gz`; the targets by id."""
    folder.mkdir(parents=True, exist_ok=True)
    table = targets_of(task)
    table.to_csv(folder / f"{task}.csv.gz", index=False)
    return table.set_index("mbid").iloc[:, -1]


def results_of(task: str, targets: pd.Series, number: int) -> dict[str, Any]:
    """`results` of a task as a submission holds them; a larger number errs more."""
    official = any_official_task(task)
    assert official is not None
    generator = np.random.default_rng(50 + number)
    results = {}
    for fold, split in enumerate(official_folds(official)):
        true = targets.loc[split["test"]].to_numpy()
        if official.is_classification:
            predicted = true ^ (generator.random(len(true)) < 0.08 * (number + 1))
            rates = [(predicted[true == kind] == kind).mean() for kind in (True, False)]
            scores = {"rocauc": float(np.mean(rates))}
        else:
            error = generator.laplace(0.0, 20.0 + 10.0 * number, len(true))
            predicted = true + error
            scores = {"mae": float(np.abs(error).mean())}
        results[f"fold_{fold}"] = {
            "data": dict(zip(split["test"], predicted.tolist(), strict=True)),
            "scores": scores,
            "parameters": "{'a': 'string'}" if number else {},
        }
    return results


def submission_of(tasks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The content of a submission with the `results` of each task."""
    entries = {task: {"dataset_name": task, "results": found} for task, found in tasks.items()}
    return {"datestamp": "2024.01.01 00:00.00", "tasks": entries}


def write_plain(path: Path, content: dict[str, Any]) -> Path:
    """Write a submission without compressing it, whatever its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def made_up_rows(rows: int = 400, *, classification: bool = False, seed: int = 0) -> Rows:
    """Rows whose members err in a way that a booster can learn; four members, five folds."""
    generator = np.random.default_rng(seed)
    hard = generator.random(rows) < 0.3
    target = generator.gamma(2.0, 1.0, rows)
    noise = generator.laplace(0.0, 0.2, (rows, 4))
    noise[:, :2] += np.where(hard, 0.8, 0.0)[:, None]
    values = target[:, None] + noise
    if classification:
        cut = float(np.median(target))
        target = (target > cut).astype(float)
        values = 1.0 / (1.0 + np.exp(-3.0 * (values - cut)))
    return Rows(
        task="made_up",
        classification=classification,
        names=("a", "b", "c", "d"),
        ids=np.array([f"row-{number:04d}" for number in range(rows)]),
        formulas=np.array(FORMULAS)[generator.integers(0, len(FORMULAS), rows)],
        fold=(np.arange(rows) % 5).astype(np.int64),
        target=target,
        values=values,
        beside=generator.normal(size=(rows, 3)),
        structure=np.where(hard, 1.0, np.nan)[:, None],
        low=0.0,
    )
