"""A task whose trainings would take hours: one that is cut off, and one fold that serves for all.

What a step takes is measured on the store of the whole task, in trainings on few rows of the fold:
before its first step a training asks the network about every row that it fits, which takes minutes
of all of them. The model that the later stages need is fitted to few rows too; the other folds take
its answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import (
    REPOSITORY,
    bytes_of,
    read_json,
    read_parquet,
    write_json,
    write_parquet,
)
from foldwise.common.progress import step_lines
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study
from foldwise.tasks.splits import FoldSplit
from foldwise.training.stopping import EXIT_TIME_LIMIT, NEAR_TIME_LIMIT

RECIPE, STUDENT, SEED = "baseline", "student", 0
LOOK_AFTER = 0.1  # seconds between two looks at a program
_FIT_FILES = ("model.safetensors", "fit.json", "history.csv")
_ANSWERS = ("test.parquet", "train.parquet", "test_timing.json")


class Taken(NamedTuple):
    """What a program has taken: seconds, resident bytes at most, seconds of all its threads."""

    seconds: float
    peak_bytes: int
    cpu_seconds: float


class CutTraining(NamedTuple):
    """A training that was asked to end: what it took, and how far it came.

    Attributes:
        taken: Of the whole program, its start included.
        steps: Optimiser steps that it has done.
        of: Steps of one epoch.
        seconds_per_step: Without the program's start.
        disk_bytes: Of the state that it has left.
    """

    taken: Taken
    steps: int
    of: int
    seconds_per_step: float
    disk_bytes: int


def measured(command: list[str], log: Path, end_after: float | None = None) -> Taken:
    """Run one of the programs and measure it; `end_after` seconds a time limit comes near.

    Raises:
        FoldwiseError: It fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=stream, stderr=stream)
        timer = threading.Timer(end_after or 0, process.send_signal, (NEAR_TIME_LIMIT,))
        if end_after:
            timer.start()
        done, peak = 0, 0
        while not done:
            peak = max(peak, _high_water(process.pid))
            time.sleep(LOOK_AFTER)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
        timer.cancel()
    process.returncode = code = os.waitstatus_to_exitcode(status)
    if code not in ({0, EXIT_TIME_LIMIT} if end_after else {0}):
        raise FoldwiseError(f"exit code {code}", where=command[1], hint=f"Read {log}.")
    seconds = time.monotonic() - started
    return Taken(seconds, peak or usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime)


def _high_water(process: int) -> int:
    """Most resident bytes of a process so far; 0 where the system does not say.

    Linux counts the memory of the process that starts a program as that program's `ru_maxrss`.
    """
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return 0


def few_rows(split: FoldSplit, rows: int) -> FoldSplit:
    """The split with about `rows` training rows, as many of each hold-out; the test stays.

    They lie evenly among all: the first rows of a task may be small crystals alone.
    """
    share = max(1, rows // len(split.validation))
    parts = tuple(
        tuple(part[at * len(part) // share] for at in range(min(share, len(part))))
        if share < len(part)
        else part
        for part in split.validation
    )
    kept = {name for part in parts for name in part}
    return replace(
        split, train=tuple(name for name in split.train if name in kept), validation=parts
    )


@dataclass(frozen=True)
class FirstFold:
    """The fold that is trained and asked, for itself and for the others.

    Attributes:
        study: The rehearsal's study.
        root: `results/{study}` with graphs and splits.
        threads: Of its programs.
    """

    study: Study
    root: Path
    threads: int

    def cut_training(self, seconds: float, *, student: bool) -> CutTraining:
        """Train on its few rows, and end when a time limit of so many seconds comes near.

        Args:
            seconds: After which it is asked to end.
            student: Whether the copies are fitted too, with the labels of `copies`.

        Raises:
            FoldwiseError: The training fails, or has not done a step by then.
        """
        name = STUDENT if student else RECIPE
        out = self.root / "bounded" / name
        shutil.rmtree(out, ignore_errors=True)
        recipe = self._recipe(name)
        log = self.root / "logs" / "bounded" / f"{name}.log"
        command = self._training(recipe, self._few, out)
        if student:
            graphs, labels = self.copies
            command += ["--copies", str(graphs), "--soft-targets", str(labels)]
        taken = measured(command, log, end_after=seconds)
        done = step_lines(log.read_text(encoding="utf-8"))
        if not done:
            raise FoldwiseError("no step was done", where=str(log), hint="Give it more seconds.")
        steps, of_all, rate = done[-1]
        return CutTraining(taken, steps, of_all // recipe.epochs, rate, bytes_of(out))

    def fit_few(self, rows: int) -> None:
        """Fit its model to few of its rows, and give that to the other folds too.

        What an earlier call has fitted to the same rows stays.
        """
        few = few_rows(FoldSplit.read(self._split(0)), rows).as_json()
        done = all((self._models(fold) / "fit.json").exists() for fold in self.study.folds)
        if done and self._few.exists() and read_json(self._few) == few:
            return
        write_json(self._few, few)
        first = self._models(0)
        log = self.root / "logs" / "bounded" / "few.log"
        measured(self._training(self._recipe(RECIPE), self._few, first), log)
        for fold in self.study.folds[1:]:
            out = self._models(fold)
            out.mkdir(parents=True, exist_ok=True)
            for name in _FIT_FILES:
                shutil.copy(first / name, out)
            write_json(out / "fit.json", read_json(out / "fit.json") | {"fold": fold})

    @property
    def copies(self) -> tuple[Path, Path]:
        """Graphs of the copies of its training crystals, and what its models answer for them."""
        fold = f"{self.study.task}/fold_0"
        teacher = self._recipe(STUDENT).teacher
        assert teacher is not None  # a student has one
        labels = self.root / "ensembles" / teacher.ensemble / fold / "copies.parquet"
        return self.root / "data" / self.study.task / "copies" / "fold_0" / "graphs", labels

    @property
    def answers(self) -> list[Path]:
        """What a prediction of it writes."""
        return [self._predictions(0) / name for name in _ANSWERS]

    def share_answers(self) -> None:
        """Give its answers to the other folds: its model was asked about every row."""
        first = self._predictions(0)
        tables = [read_parquet(first / f"{subset}.parquet", ["id"]) for subset in ("test", "train")]
        known = pd.concat(tables).set_index("id")["prediction"]
        holdout = self.study.holdout(RECIPE, SEED)
        for fold in self.study.folds[1:]:
            split = FoldSplit.read(self._split(fold))
            out = self._predictions(fold)
            write_parquet(out / "test.parquet", _of(known, split.test))
            train = _of(known, split.train)
            held_out = set(split.fit_and_validation(holdout)[1])
            train["held_out"] = train["id"].isin(held_out)
            write_parquet(out / "train.parquet", train)
            shutil.copy(first / "test_timing.json", out)

    def average(self, members: int) -> Taken:
        """Average its answers with themselves, as an ensemble's are averaged."""
        command = [
            sys.executable, "scripts/jobs/combine_predictions.py",
            "--members", *[str(self._predictions(0) / "test.parquet")] * members,
            "--kind", "mean", "--out", str(self.root / "bounded" / "ensemble.parquet"),
        ]  # fmt: skip
        return measured(command, self.root / "logs" / "bounded" / "ensemble.log")

    def _recipe(self, name: str) -> Recipe:
        recipe = self.study.recipes[name]
        assert isinstance(recipe, Recipe)  # a rehearsal trains networks
        return recipe

    def _training(self, recipe: Recipe, split: Path, out: Path) -> list[str]:
        task = self.study.task
        data = self.root / "data" / task
        return [
            sys.executable, "scripts/jobs/train_model.py",
            "--targets", str(data / "targets.parquet"), "--graphs", str(data / "graphs"),
            "--split", str(split), "--recipe-name", RECIPE,
            "--recipe", json.dumps(recipe.as_dict(), sort_keys=True), "--seed", str(SEED),
            "--holdout", str(self.study.holdout(RECIPE, SEED)),
            "--transform", self.study.datasets[task]["transform"],
            "--engine", json.dumps(asdict(self.study.engine)), "--threads", str(self.threads),
            "--out", str(out),
        ]  # fmt: skip

    @property
    def _few(self) -> Path:
        return self.root / "bounded" / "few.json"

    def _split(self, fold: int) -> Path:
        return self.root / "splits" / self.study.task / f"fold_{fold}.json"

    def _models(self, fold: int) -> Path:
        return self._of_fold("models", fold)

    def _predictions(self, fold: int) -> Path:
        return self._of_fold("predictions", fold)

    def _of_fold(self, kind: str, fold: int) -> Path:
        return self.root / kind / RECIPE / self.study.task / f"fold_{fold}" / f"seed_{SEED}"


def _of(known: pd.Series[float], ids: Sequence[str]) -> pd.DataFrame:
    asked = [name for name in ids if name in known.index]
    return pd.DataFrame({"id": asked, "prediction": known.loc[asked].to_numpy()})
