"""One fold of real crystals as the files that the programs of `foldwise.teachers` read."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import write_csv, write_json, write_parquet
from foldwise.crystals.files import write_structures
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.splits import FoldSplit
from foldwise.teachers.collecting import Collected, collect
from foldwise.teachers.folder import TeacherJob, write_job
from foldwise.teachers.running import run_program
from paths import REPOSITORY

TASK = "tiny_e_form"
FITTED, HELD, TEST = 12, 4, 4
FAILURES = ["id", "stage", "reason", "detail"]


@dataclass(frozen=True)
class Fold:
    """Files of one fold below `root`; ids are those to fit, those held out and those to test."""

    root: Path
    ids: list[str]
    target: list[float]
    fitted: int = FITTED
    tested: int = TEST

    @property
    def test(self) -> list[str]:
        return self.ids[-self.tested :]

    @property
    def held(self) -> list[str]:
        return self.ids[self.fitted : -self.tested]

    def write_job(self, name: str = "job.zip", **changes: Any) -> Path:
        told = {"recipe": "mine", "seed": 0, "holdout": 1, "options": {}, **changes}
        write_job(
            self.root / name,
            TeacherJob(**told),
            targets=self.root / "targets.parquet",
            card=self.root / "card.json",
            structures=self.root / "structures.npz",
            split=self.root / "fold_0.json",
        )
        return self.root / name

    def run(
        self,
        program: Path,
        place: Path,
        minutes: float = 1.0,
        python: Path = Path(sys.executable),
        words: Sequence[str] = (),
        **job: Any,
    ) -> dict[str, Any]:
        """Run a Python program on the fold and write how it ended, below `place`."""
        outcome = run_program(
            self.write_job(**job),
            ["python", str(program), *words],
            place / "left",
            log=place / "program.log",
            threads=1,
            gpu=False,
            minutes=minutes,
            python=python,
        )
        write_json(place / "outcome.json", outcome)
        return outcome

    def collect(self, place: Path, *, goes_on: bool = False) -> str | None:
        """Check what the program left below `place`, and write the model's files there."""
        return collect(
            Collected("mine", {"model": "program", "command": "x"}, 0, 1, goes_on),
            left=place / "left",
            outcome=place / "outcome.json",
            targets=self.root / "targets.parquet",
            split=self.root / "fold_0.json",
            graph_failures=self.root / "failures.csv",
            copies=None,
            model=place,
            predictions=place,
        )


def write_fold(
    root: Path,
    fitted: int = FITTED,
    held: int = HELD,
    tested: int = TEST,
    ids: Sequence[str] | None = None,
) -> Fold:
    table = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at, label = table["columns"].index("structure"), table["columns"].index("e_form")
    size = fitted + held + tested
    rows = table["data"][:: len(table["data"]) // size][:size]
    ids = list(ids or [f"tiny-{number:03d}" for number in range(len(rows))])
    target = [float(row[label]) for row in rows]
    crystals = [parse_structure(row[at]) for row in rows]
    write_structures(root / "structures.npz", ids, crystals)
    formulas = [f"F{number}" for number in range(len(rows))]
    write_parquet(
        root / "targets.parquet", pd.DataFrame({"id": ids, "formula": formulas, "target": target})
    )
    write_json(root / "card.json", {"target_name": "formation energy", "unit": "eV/atom",
                                    "intensive": True})  # fmt: skip
    write_csv(root / "failures.csv", pd.DataFrame(columns=FAILURES))
    half = fitted // 2
    split = FoldSplit(
        task=TASK, fold=0, n_folds=5, protocol="made for a test.", official=False, complete=True,
        train=tuple(ids[:-tested]),
        validation=(tuple(ids[:half]), tuple(ids[fitted:-tested]), tuple(ids[half:fitted])),
        test=tuple(ids[-tested:]),
    )  # fmt: skip
    write_json(root / "fold_0.json", split.as_json())
    assert np.isfinite(target).all()
    return Fold(root, ids, target, fitted, tested)
