"""Calls of Snakemake as a user makes them, one of which is met by a kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY

CONFIG = "config/smoke.yaml"
ROOT = REPOSITORY / "results" / "smoke"
PATIENCE = 600.0
"""Seconds to wait for the first epoch, on a busy machine too."""
_STATE = "models/*/*/fold_*/seed_*/.resume/state.pt"


def snakemake(cores: int, *arguments: str, config: str | None = CONFIG) -> list[str]:
    """The command line; `arguments` end it."""
    return [
        sys.executable, "-m", "snakemake", "--cores", str(cores),
        "--workflow-profile", "profiles/cpu",
        *(["--configfile", config] if config else []),
        *([] if "--dry-run" in arguments else ["--quiet", "rules"]), *arguments,
    ]  # fmt: skip


def run(command: list[str]) -> None:
    """Run a command to its end; the user sees what it says.

    Raises:
        FoldwiseError: It fails.
    """
    done = subprocess.run(command, cwd=REPOSITORY, check=False, env=_environment())
    if done.returncode:
        raise FoldwiseError(
            f"a call failed: {' '.join(command[2:])}", where="snakemake", hint="Read its log."
        )


def ask(command: list[str]) -> tuple[int, str]:
    """Run a command that may fail; its exit code and all that it says."""
    done = subprocess.run(
        command, cwd=REPOSITORY, check=False, env=_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def kill_a_training(cores: int) -> Path:
    """Start the study, kill the first training that has saved a state; returns its folder.

    Raises:
        FoldwiseError: No training saves a state.
    """
    call = subprocess.Popen(snakemake(cores), cwd=REPOSITORY, env=_environment())
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
        trains = arguments[1:2] == ["scripts/jobs/train_model.py"] and name in arguments
        if trains and process.info["cwd"] == str(REPOSITORY):
            return int(process.pid)
    return None


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}
