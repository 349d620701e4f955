"""The smoke study: everything that a long study does, once, in minutes, and what of it fired."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json
from foldwise.tracking.record.registry import Registry

CONFIG = "config/smoke.yaml"
ROOT = REPOSITORY / "results" / "smoke"
REPORT_FILES = (
    "results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet",
    "groups/_index.csv", "figures/parity.png", "figures/error_distribution.png",
    "figures/error_by_target.png", "figures/learning_curves.png", "diagnostics/failures.csv",
    "diagnostics/outliers.csv", "diagnostics/value_ranges.json",
    "diagnostics/actual_vs_predicted.csv", "diagnostics/review.json",
)  # fmt: skip
EXPERIMENTS = ("e0", "e3", "e4")
PATIENCE = 100.0
"""Seconds to wait for the first epoch."""
_STATE = "models/*/*/fold_*/seed_*/.resume/state.pt"


def run_smoke(cores: int, say: Callable[[str], None]) -> None:
    """Run the smoke study, kill a training after its first epoch, go on, and check what fired.

    Args:
        cores: Cores for Snakemake.
        say: Called with each line for the user.

    Raises:
        FoldwiseError: A behaviour did not fire.
    """
    started = time.monotonic()
    if ROOT.exists():
        raise FoldwiseError(
            "an earlier smoke study is there", where=str(ROOT), hint="Move or delete it first."
        )
    say("running the smoke study; a training is killed after its first epoch")
    killed = _kill_a_training(cores)
    say(f"killed {killed}; going on")
    done = subprocess.run(_command(cores), cwd=REPOSITORY, check=False, env=_environment())
    if done.returncode:
        raise FoldwiseError("the second call failed", where="snakemake", hint="Read its log.")
    silent = []
    for name, fired in _behaviours(killed).items():
        say(f"{'fired ' if fired else 'SILENT'} {name}")
        silent += [] if fired else [name]
    say(f"{time.monotonic() - started:.0f} s")
    if silent:
        raise FoldwiseError(
            f"did not fire: {', '.join(silent)}", where=str(ROOT), hint="Read the logs there."
        )


def _command(cores: int) -> list[str]:
    return [
        sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "rules",
        "--workflow-profile", "profiles/cpu", "--configfile", CONFIG,
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def _kill_a_training(cores: int) -> Path:
    """Start the study, kill the first training that has saved a state; returns its folder."""
    call = subprocess.Popen(_command(cores), cwd=REPOSITORY, env=_environment())
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and call.poll() is None:
        for state in ROOT.glob(_STATE):
            training = _process_of(state.parents[1])
            if training is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(training, signal.SIGKILL)
                    call.wait()
                    return state.parents[1]
        time.sleep(0.02)
    call.terminate()
    call.wait()
    raise FoldwiseError(
        "no training saved a state", where=str(ROOT), hint="Read .snakemake/log and training.log."
    )


def _process_of(folder: Path) -> int | None:
    """The training that writes to `folder`."""
    name = str(folder.relative_to(REPOSITORY))
    for process in psutil.process_iter(["cmdline", "cwd"]):
        arguments = process.info["cmdline"] or []
        trains = arguments[1:2] == ["scripts/train_model.py"] and name in arguments
        if trains and process.info["cwd"] == str(REPOSITORY):
            return int(process.pid)
    return None


def _behaviours(killed: Path) -> dict[str, bool]:
    """What a long study does, and whether it happened."""
    fits = {path.parent: read_json(path) for path in ROOT.glob("models/*/*/*/*/fit.json")}
    histories = [pd.read_csv(path) for path in ROOT.glob("models/*/*/*/*/history.csv")]
    entries = Registry(ROOT).entries().values()
    log = (killed / "training.log").read_text(encoding="utf-8")
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
        "soft targets: the student saw them": any(fit["n_soft_targets"] for fit in fits.values()),
        "registry: every experiment complete": {entry["experiment"] for entry in runs}
        == set(EXPERIMENTS),
        f"report: every file{': missing ' + ', '.join(missing) if missing else ''}": not missing,
        "summary: RESULTS.md and leaderboard.csv": all(
            (ROOT / name).stat().st_size > 0 for name in ("RESULTS.md", "leaderboard.csv")
        ),
    }
