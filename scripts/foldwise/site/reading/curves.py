"""How the models of an experiment were trained: curves, fits, ends of logs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import read_json
from foldwise.experiment.inputs.types import Json
from foldwise.site.reading.experiments import ExperimentFolder

LOG_LINES = 12


def training_curves(root: Path, experiment: ExperimentFolder) -> list[Json]:
    """One entry per fold and seed: the curve of its MAE, where it was best, how its log ends.

    Args:
        root: `results`, or `results/{run}`.
        experiment: The experiment.

    Returns:
        Nothing for an experiment that trained nothing, or whose models are not below `root`.
    """
    recipe = root / "models" / str(experiment.record["recipe"]) / str(experiment.record["task"])
    fits = [] if experiment.record["fit"] is None else experiment.record["fit"]["fits"]
    folders = [(fit, recipe / f"fold_{fit['fold']}" / f"seed_{fit['seed']}") for fit in fits]
    return [_curve(fit, place) for fit, place in folders if (place / "history.csv").is_file()]


def _curve(fit: Json, folder: Path) -> Json:
    history = pd.read_csv(folder / "history.csv")
    log = folder / "training.log"
    return {
        "fold": int(fit["fold"]),
        "seed": int(fit["seed"]),
        "best_epoch": int(fit["best_epoch"]),
        "stop_reason": str(read_json(folder / "fit.json")["stop_reason"]),
        "epoch": history["epoch"].tolist(),
        "train_mae": history["train_mae"].tolist(),
        "val_mae": history["val_mae"].tolist(),
        "log": log_end(log),
    }


def log_end(path: Path, lines: int = LOG_LINES) -> list[str]:
    """The last lines of a log; none where there is no such file."""
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
