"""A small made-up study on disk: every file that `write_experiment.py` reads, in one call.

The numbers are random but plausible: three seeds of a baseline with errors of about 0.05 eV/atom
that partly agree, and a student close to their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import flatten, write_csv, write_json, write_parquet
from foldwise.experiment.inputs.types import InputPaths

TASK = "demo_e_form"
SEEDS = (0, 1, 2)
N_FOLDS = 5
FAILURE_COLUMNS = ["id", "stage", "reason", "detail"]
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "e0": {"recipe": "baseline", "seeds": [0], "parents": [], "title": "Single fine-tuned CHGNet"},
    "e3": {"recipe": "baseline", "seeds": [0, 1, 2], "parents": ["e0"],
           "title": "Mean of three seeds"},
    "e4": {"recipe": "student", "seeds": [0], "parents": ["e0", "e3"],
           "title": "One student of that mean"},
}  # fmt: skip
_FORMULAS = ("Li2O", "NaCl", "MgF2", "Ca(NO3)2", "FeNi", "GaAs", "TiO2", "ZnS", "Si", "Al2O3")
_FAMILIES = ("oxide", "halide", "halide", "oxide", "intermetallic", "pnictide", "oxide",
             "chalcogenide", "other", "oxide")  # fmt: skip
_ELEMENTS = (2, 2, 2, 3, 2, 2, 2, 2, 1, 2)
_SYSTEMS = ("cubic", "hexagonal", "tetragonal")


@dataclass(frozen=True)
class Study:
    """Where the made-up study lies; `init` is that of all its recipes."""

    root: Path
    init: str

    def paths(self, experiment: str) -> InputPaths:
        """Input files of one experiment."""
        entry = EXPERIMENTS[experiment]
        models = [(fold, seed) for fold in range(N_FOLDS) for seed in entry["seeds"]]
        folders = [self.model(entry["recipe"], fold, seed) for fold, seed in models]
        folds = range(N_FOLDS)
        several = len(entry["seeds"]) > 1
        return InputPaths(
            config=self.root / f"{experiment}.json",
            targets=self.root / "targets.parquet",
            card=self.root / "card.json",
            dataset_failures=self.root / "failures.csv",
            graph_failures=self.root / "graph_failures.csv",
            duplicates=self.root / "duplicates.json",
            splits=[self.root / f"fold_{fold}.json" for fold in folds],
            fits=[folder / "fit.json" for folder in folders],
            histories=[folder / "history.csv" for folder in folders],
            predictions=[folder / "test.parquet" for folder in folders],
            timings=[folder / "test_timing.json" for folder in folders],
            ensembles=[self.root / f"ensemble_{fold}.parquet" for fold in folds] if several else [],
            compare=[self.root / "results" / parent for parent in entry["parents"]],
        )

    def out(self, experiment: str) -> Path:
        """Folder of one experiment's results."""
        return self.root / "results" / experiment

    def model(self, recipe: str, fold: int, seed: int) -> Path:
        """Folder with the files of one trained model."""
        return self.root / recipe / f"fold_{fold}" / f"seed_{seed}"


def make_study(root: Path, rows: int = 60, init: str = "pretrained") -> Study:
    """Write the study's files below `root`: `rows` crystals, five folds, two recipes."""
    study = Study(root, init)
    generator = np.random.default_rng(7)
    targets = _targets(rows, generator)
    write_parquet(root / "targets.parquet", targets)
    _write_dataset_facts(root, targets)
    # The last crystal of fold 0 fails when its graph is made, after the splits.
    lost = targets["id"].iloc[rows - N_FOLDS]
    reason = [lost, "graphs", "isolated atom", "atom 3 has no neighbour within 6.3 Å"]
    write_csv(root / "graph_failures.csv", pd.DataFrame([reason], columns=FAILURE_COLUMNS))
    shared = generator.normal(0, 0.04, rows)
    offsets = {seed: shared + generator.normal(0, 0.02, rows) for seed in SEEDS}
    for fold in range(N_FOLDS):
        test = (np.arange(rows) % N_FOLDS == fold) & (targets["id"] != lost).to_numpy()
        _write_split(root, targets["id"], fold)
        for seed in SEEDS:
            _write_model(study, targets[test], offsets[seed][test], ("baseline", fold, seed))
        mean = np.mean([offsets[seed][test] for seed in SEEDS], axis=0)
        _write_model(study, targets[test], mean * 1.05, ("student", fold, 0))
        _write_ensemble(root, targets[test], [offsets[seed][test] for seed in SEEDS], fold)
    for experiment in EXPERIMENTS:
        write_json(root / f"{experiment}.json", resolved_config(experiment, init))
    return study


def resolved_config(experiment: str, init: str = "pretrained") -> dict[str, Any]:
    """The resolved config of one experiment."""
    entry = EXPERIMENTS[experiment]
    return {
        "experiment": experiment,
        "title": entry["title"],
        "purpose": "Does the mean of three teachers survive in one network, at a third of the "
        "inference cost?",
        "task": TASK,
        "recipe_name": entry["recipe"],
        "recipe": _recipe(entry["recipe"], init),
        "seeds": entry["seeds"],
        "tta": 1,
        "folds": list(range(N_FOLDS)),
        "parents": entry["parents"],
        "report": {"worst_n": 2},
        "run": None,
    }


def _recipe(name: str, init: str) -> dict[str, Any]:
    teacher = {
        "ensemble": "e3", "recipe": "baseline", "seeds": [0, 1, 2], "targets": "crossfit",
        "soft_weight": 0.5, "weighting": "disagreement",
    }  # fmt: skip
    return {
        "model": "chgnet", "init": init, "epochs": 8, "batch_size": 32, "lr": 0.003,
        "loss": "huber", "patience": 3, "teacher": teacher if name == "student" else None,
    }  # fmt: skip


def _targets(rows: int, generator: np.random.Generator) -> pd.DataFrame:
    # Another stride than the folds', so that no formula is in one fold alone.
    kind = (np.arange(rows) + np.arange(rows) // N_FOLDS) % len(_FORMULAS)
    base = np.array([-2.1, -1.9, -3.4, -1.2, -0.1, -0.4, -3.3, -1.0, 0.0, -3.1])
    return pd.DataFrame(
        {
            "id": [f"demo-{number:04d}" for number in range(rows)],
            "formula": [_FORMULAS[k] for k in kind],
            "n_atoms": np.array([2 + k for k in kind], dtype=np.int32),
            "n_elements": np.array([_ELEMENTS[k] for k in kind], dtype=np.int32),
            "anion_family": [_FAMILIES[k] for k in kind],
            "crystal_system": [_SYSTEMS[number % 3] for number in range(rows)],
            "spacegroup": np.array([(225, 194, 136)[n % 3] for n in range(rows)], dtype=np.int32),
            "target": base[kind] + generator.normal(0, 0.3, rows),
        }
    )


def _write_dataset_facts(root: Path, targets: pd.DataFrame) -> None:
    rows = len(targets)
    write_json(
        root / "card.json",
        {
            "task": TASK, "source": "made-up crystals after Materials Project", "licence": "none",
            "source_sha256": "ab" * 32, "citation": "none", "target_name": "formation energy",
            "unit": "eV/atom", "intensive": True, "official": False, "n_source": rows + 1,
            "n_accepted": rows, "n_failed": 1, "notes": "",
        },
    )  # fmt: skip
    failed = ["demo-bad", "dataset", "target is not a finite number", "nan"]
    write_csv(root / "failures.csv", pd.DataFrame([failed], columns=FAILURE_COLUMNS))
    counts = {"n_test": rows, "n_test_same_formula": rows - 3, "n_test_same_structure": 4}
    write_json(root / "duplicates.json", {"task": TASK, "folds": [], "all_folds": counts})


def _write_split(root: Path, ids: pd.Series[str], fold: int) -> None:
    names = list(ids)
    test = names[fold::N_FOLDS]
    train = [name for name in names if name not in set(test)]
    write_json(
        root / f"fold_{fold}.json",
        {
            "task": TASK, "fold": fold, "n_folds": N_FOLDS, "official": False,
            "protocol": f"Fold {fold} of 5 shuffled folds (the protocol of Matbench).",
            "train": train, "validation": [train[:10], train[10:]], "test": test,
        },
    )  # fmt: skip


def _write_model(
    study: Study, test: pd.DataFrame, residual: np.ndarray, model: tuple[str, int, int]
) -> None:
    recipe, fold, seed = model
    folder = study.model(recipe, fold, seed)
    predictions = {"id": test["id"], "prediction": test["target"] + residual}
    write_parquet(folder / "test.parquet", pd.DataFrame(predictions))
    epochs = np.arange(1, 9)
    decay = 0.05 + 0.4 * np.exp(-epochs / 2.0) + 0.002 * seed
    history = {
        "epoch": epochs, "lr": 1e-3, "train_loss": decay**2, "train_mae": decay * 0.8,
        "val_mae": decay + 0.004 * np.maximum(0, epochs - 6), "val_rmse": decay * 1.4,
    }  # fmt: skip
    table = pd.DataFrame(history)
    write_csv(folder / "history.csv", table)
    seconds, best = 0.15, int(table["val_mae"].argmin())
    write_json(
        folder / "test_timing.json",
        {
            "structures": len(test), "seconds": seconds, "structures_per_s": len(test) / seconds,
            "device": "cpu", "threads": 1, "views": 1,
        },
    )  # fmt: skip
    flat = flatten(_recipe(recipe, study.init))
    write_json(
        folder / "fit.json",
        {
            "recipe": recipe, "task": TASK, "fold": fold, "seed": seed, "best_epoch": best + 1,
            "epochs_run": 8, "epochs_max": 8, "passes": 304, "early_stopped": False, "patience": 3,
            "stop_reason": "all epochs run", "train_mae_at_best": table["train_mae"][best],
            "val_mae_at_best": table["val_mae"][best], "train_loss_at_best": 0.01,
            "val_mae_last5": list(table["val_mae"][-5:]), "n_train": 38, "n_validation": 10,
            "n_soft_targets": 0, "num_params": 412525, "device": "cpu", "gpu_name": None,
            "target_transform": {"name": "element_reference", "train_mean": -1.6 + 0.01 * fold,
                                 "train_std": 1.2},
            "precision": "float32", "threads": 1, "wall_time_sec": 12.5, "sec_per_epoch": 1.4,
            "peak_memory_bytes": 800_000_000, "steps": 16, "resumed_from_epoch": 0,
            "hyperparams": flat,
        },
    )  # fmt: skip


def _write_ensemble(root: Path, test: pd.DataFrame, residuals: list[np.ndarray], fold: int) -> None:
    values = test["target"].to_numpy() + np.array(residuals)
    table = {"id": test["id"], "mean": values.mean(axis=0), "std": values.std(axis=0), "n": 3}
    write_parquet(root / f"ensemble_{fold}.parquet", pd.DataFrame(table))
