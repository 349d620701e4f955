"""A small study in a copy of the repository, called on a cluster: started, watched, compared."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, file_sha256, read_json
from foldwise.tracking.calls.reasons import job_failure
from foldwise.tracking.calls.snakemake_log import parse_log
from maintenance.testbed.machine import TestCluster

PARTS = ("Snakefile", "rules", "config", "profiles", "envs", "scripts", "reports", "data")
NAME = "cluster_test"
EXPERIMENT = "e0"
EPOCHS = 300
CONFIG: dict[str, Any] = {
    "run": NAME,
    "splits": {"folds": 2, "holdouts": 4},
    "recipes": {
        "baseline": {
            "model": "chgnet_lite", "init": "scratch", "batch_size": 16, "lr": 3.0e-3,
        },
        "ssa_shifted": None,
    },
    "experiments": {"e1_shifted": None},
    "series": {"pretrained": {"action": "warn"}, "scratch": {"action": "warn"}},
    "report": {"worst_n": 1},
}  # fmt: skip
# What must not depend on faults: weights, histories, answers, and the numbers made of them.
COMPARED = (
    "models/**/model.safetensors", "models/**/history.csv", "predictions/**/*.parquet",
    f"{EXPERIMENT}/predictions.parquet", f"{EXPERIMENT}/metrics.json",
    f"{EXPERIMENT}/groups/_index.csv",
)  # fmt: skip
MOST_SECONDS = 1500.0
"""For one call, faults included."""
POLL = 0.5
_TOTAL = re.compile(r"^total +(\d+)$", re.MULTILINE)


@dataclass
class Call:
    """A running call of Snakemake; `log` takes what the user sees."""

    process: subprocess.Popen[bytes]
    log: Path
    started: float = field(default_factory=time.monotonic)

    def kill(self) -> None:
        """`kill -9` of Snakemake itself; its queued jobs know nothing of it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(timeout=MOST_SECONDS)

    def said(self) -> str:
        """Everything that the user has seen so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class TestStudy:
    """A study in a folder of its own.

    Attributes:
        root: A copy of the repository, with the profile of `add_profile`.
        cluster: Where its jobs run.
        run: Name of the study.
        config: File of the study.
    """

    root: Path
    cluster: TestCluster
    run: str = NAME
    config: str = "study.yaml"

    @property
    def results(self) -> Path:
        """Its results."""
        return self.root / "results" / self.run

    def begin(self, *options: str, name: str = "call", target: str | None = None) -> Call:
        """Call Snakemake with the cluster's profile, without waiting for it.

        Args:
            options: More options of Snakemake.
            name: Of the file that takes what it says.
            target: File to make; by default the experiment's `results.json`.
        """
        log = self.root / f"{name}.txt"
        command = [
            sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/test",
            "--configfile", self.config, *options,
            "--", target or f"results/{self.run}/{EXPERIMENT}/results.json",
        ]  # fmt: skip
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command, cwd=self.root, env=_environment(), stdout=stream, stderr=stream
            )
        return Call(process, log)

    def dry_run(self, seeds: int, replicates: int) -> tuple[int, float, float]:
        """Plan, on the cluster's profile, an experiment of so many models, and queue nothing.

        Returns:
            Jobs that it would queue, seconds, and processor seconds.

        Raises:
            FoldwiseError: Snakemake fails.
        """
        config = yaml.safe_load((self.root / self.config).read_text(encoding="utf-8"))
        config["experiments"][EXPERIMENT] = {
            "seeds": list(range(seeds)), "replicates": replicates,
        }  # fmt: skip
        (self.root / "dry.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [
            sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/test",
            "--configfile", "dry.yaml", "--dry-run", "--quiet", "reason",
            "--", f"results/{self.run}/{EXPERIMENT}/results.json",
        ]  # fmt: skip
        log = self.root / "dry.txt"
        started = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=self.root, env=_environment(), stdout=stream, stderr=stream
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        jobs = _TOTAL.search(log.read_text(encoding="utf-8"))
        if process.returncode or jobs is None:
            raise FoldwiseError("the dry run fails", where=str(log), hint="Read it.")
        return int(jobs[1]), seconds, usage.ru_utime + usage.ru_stime

    def forget(self) -> None:
        """Remove what trainings and later jobs have made; data and splits stay."""
        for name in ("models", "predictions", EXPERIMENT, "runs", "benchmarks", "logs"):
            shutil.rmtree(self.results / name, ignore_errors=True)
        for file in ("registry.json", "leaderboard.csv"):
            (self.results / file).unlink(missing_ok=True)
        shutil.rmtree(self.root / ".snakemake" / "incomplete", ignore_errors=True)
        shutil.rmtree(self.root / ".snakemake" / "locks", ignore_errors=True)

    def end_strays(self) -> None:
        """End what still runs in its folder: jobs of a node that was taken for dead."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if Path(process.cwd()) == self.root:
                    process.kill()

    def checksums(self) -> dict[str, str]:
        """SHA-256 of every file that must not depend on faults."""
        paths = sorted(path for pattern in COMPARED for path in self.results.glob(pattern))
        return {str(path.relative_to(self.results)): file_sha256(path) for path in paths}

    def endings(self) -> list[str]:
        """Kinds of all events that end a run, in their order."""
        found = sorted(self.results.glob("runs/*/events/*.json"))
        kinds = [(path, path.stem.partition("_")[2]) for path in found]
        return [
            kind if kind == "complete" else f"{kind}: {read_json(path)['failure']['kind']}"
            for path, kind in kinds
            if kind in ("complete", "fail", "stop")
        ]

    def named(self, since: float) -> list[str]:
        """What the registry calls the ends of jobs in calls that began after a time, each once."""
        kinds = []
        for path in sorted((self.root / ".snakemake" / "log").glob("*.log")):
            if path.stat().st_mtime >= since:
                call = parse_log(path.read_text(encoding="utf-8", errors="replace"))
                kinds += [job_failure(job, call, None, self.root)["kind"] for job in call.errors]
        return list(dict.fromkeys(kinds))

    def running(self, rule: str) -> list[tuple[str, str]]:
        """Slurm's number and the node of every running job of a rule."""
        lines = self.cluster.ask(
            "squeue", "--noheader", "--states=R", "--format=%i|%N|%k"
        ).splitlines()
        parts = [line.split("|") for line in lines]
        return [(part[0], part[1]) for part in parts if part[2].startswith(f"rule_{rule}")]

    def wait_for_steps(self, call: Call) -> None:
        """Wait until a training of the call is between its steps."""
        self.wait_until(call, self._trains, "a training takes steps")

    def wait_until(self, call: Call, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition while a call runs.

        Raises:
            FoldwiseError: The call ends first, or the time is up.
        """
        until = time.monotonic() + MOST_SECONDS
        while time.monotonic() < until and call.is_running():
            with contextlib.suppress(subprocess.SubprocessError):
                if holds():
                    return
            time.sleep(POLL)
        raise FoldwiseError(f"never so: {what}", where="cluster test", hint=f"Read {call.log}.")

    def _trains(self) -> bool:
        if not self.running("train_model"):
            return False
        logs = self.results.glob("models/*/*/*/*/training.log")
        return any("step" in log.read_text(encoding="utf-8", errors="replace") for log in logs)


def new_study(
    cluster: TestCluster,
    root: Path,
    site: dict[str, object],
    *,
    seeds: Sequence[int] = (0,),
    epochs: int = EPOCHS,
    hasty: bool = True,
) -> TestStudy:
    """A copy of the repository with the small study of `CONFIG`.

    Args:
        cluster: Where its jobs run.
        root: Folder to make; the caller removes it.
        site: What stands in the profile's site.yaml.
        seeds: Of its experiment.
        epochs: Of its trainings.
        hasty: Whether the profile waits less than a user's does.
    """
    root.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / part)
    add_profile(root, site, hasty=hasty)
    recipe = {"epochs": epochs, "patience": epochs}
    config = {
        **CONFIG,
        "recipes": {**CONFIG["recipes"], "baseline": CONFIG["recipes"]["baseline"] | recipe},
        "experiments": {**CONFIG["experiments"], EXPERIMENT: {"seeds": list(seeds)}},
    }
    (root / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return TestStudy(root, cluster)


def add_profile(root: Path, site: dict[str, object], *, hasty: bool = True) -> None:
    """The cluster's profile for tests: two nodes queue nothing else, and faults show in seconds."""
    profile = root / "profiles" / "test"
    shutil.copytree(root / "profiles" / "slurm", profile)
    (profile / "site.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    file = profile / "profile.yaml"
    text = file.read_text(encoding="utf-8")
    if not hasty:
        return
    for line, shorter in (("status-checks: 10", "status-checks: 3"), ("wait: 120", "wait: 20")):
        text = text.replace(line, shorter)
    file.write_text(text, encoding="utf-8")


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}


def lines_of(text: str, words: Sequence[str]) -> list[str]:
    """Lines that hold one of the words, each once."""
    found = [line.strip() for line in text.splitlines() if any(word in line for word in words)]
    return list(dict.fromkeys(found))
