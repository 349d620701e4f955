"""What a long study does, and whether it happened in the smoke study."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.files import read_json, read_parquet
from foldwise.tracking.record.registry import Registry
from maintenance.smoke.calls import ROOT

EXPERIMENTS = ("e0", "e1_consistency", "e2", "e3", "e4", "e5")
REPORT_FILES = (
    "results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet",
    "groups/_index.csv", "figures/parity.png", "figures/error_distribution.png",
    "figures/error_by_target.png", "figures/learning_curves.png", "diagnostics/failures.csv",
    "diagnostics/outliers.csv", "diagnostics/value_ranges.json",
    "diagnostics/actual_vs_predicted.csv", "diagnostics/review.json",
)  # fmt: skip
_FITS = "models/*/*/*/*/fit.json"


def study_behaviours(killed: Path) -> dict[str, bool]:
    """Of the crystals' study.

    Args:
        killed: Folder of the training that was killed.
    """
    fits = {path.parent: read_json(path) for path in ROOT.glob(_FITS)}
    histories = [pd.read_csv(path) for path in ROOT.glob("models/*/*/*/*/history.csv")]
    log = (killed / "training.log").read_text(encoding="utf-8")
    entries = Registry(ROOT).entries().values()
    runs = [entry for entry in entries if entry["status"] == "complete"]
    missing = [
        f"{name}/{file}"
        for name in EXPERIMENTS
        for file in REPORT_FILES
        if not (ROOT / name / file).exists() or not (ROOT / name / file).stat().st_size
    ]
    reasons = [path.read_text(encoding="utf-8") for path in ROOT.glob("runs/*/events/*_fail.json")]
    return {
        "evaluation: a validation error after every epoch": all(
            history["val_mae"].notna().all() for history in histories
        ),
        "checkpoint: one per training": len(fits)
        == len([*ROOT.glob("models/**/model.safetensors")]),
        "kill: recorded with its reason": any("SIGKILL" in reason for reason in reasons),
        "resume: from the last epoch": fits[killed]["resumed_from_epoch"] >= 1 and "resumed" in log,
        "early stopping": any(fit["early_stopped"] for fit in fits.values()),
        "progress: step 1 at once, with ETA": all(
            re.search(r"step \d+/\d+ .* s/step .* ETA", path.read_text(encoding="utf-8"))
            for path in ROOT.glob("models/*/*/*/*/training.log")
        ),
        "views: fitted and asked for consistent answers": _fitted_with_views(),
        "views averaged at test time: other answers than one view's": _views_differ(),
        "joint pretraining: a backbone of two tasks, then a fit": _pretrained(fits),
        "soft targets: the student saw them": any(fit["n_soft_targets"] for fit in fits.values()),
        "registry: every experiment complete": {entry["experiment"] for entry in runs}
        == set(EXPERIMENTS),
        f"report: every file{': missing ' + ', '.join(missing) if missing else ''}": not missing,
        "summary: RESULTS.md and leaderboard.csv": all(
            (ROOT / name).stat().st_size > 0 for name in ("RESULTS.md", "leaderboard.csv")
        ),
    }


def verdicts() -> list[str]:
    """The review of each experiment in one line."""
    lines = []
    for name in EXPERIMENTS:
        review = read_json(ROOT / name / "diagnostics" / "review.json")
        counts = {key: review[key] for key in ("passed", "failed", "look") if key in review}
        said = ", ".join(f"{count} {key}" for key, count in counts.items())
        lines.append(f"{name}: {said}")
    return lines


def _fitted_with_views() -> bool:
    recipe = read_json(ROOT / "configs" / "e1_consistency.json")["recipe"]
    return bool(recipe["augment"]) and recipe["consistency"] > 0


def _views_differ() -> bool:
    folders = [path.parent for path in ROOT.glob("predictions/*/*/*/*/tta_2/test.parquet")]
    if not folders:
        return False
    return all(not np.array_equal(_answers(folder), _answers(folder.parent)) for folder in folders)


def _answers(folder: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    table = read_parquet(folder / "test.parquet", ("id", "prediction")).sort_values("id")
    return table["prediction"].to_numpy(dtype=np.float64)


def _pretrained(fits: dict[Path, dict[str, object]]) -> bool:
    joint = [folder for folder in fits if (folder / "pretrain.json").exists()]
    return bool(joint) and all((folder / "backbone.safetensors").exists() for folder in joint)
