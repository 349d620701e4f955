"""A small study of real crystals in a copy of the repository."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paths import REPOSITORY
from warm_python import warm_python

PARTS = ("Snakefile", "rules", "config", "profiles", "envs", "scripts", "reports", "data",
         "coref_automl")  # fmt: skip
TASK = "tiny_e_form"
ISOLATED, UNREADABLE = "lonely-1", "broken-1"
N_CRYSTALS = 44
BASELINE = {
    "model": "chgnet_lite",
    "init": "scratch",
    "epochs": 3,
    "batch_size": 8,
    "lr": 0.003,
    "patience": 3,
}
CONFIG: dict[str, Any] = {
    "run": "tiny",
    "task": TASK,
    "datasets": {
        TASK: {
            "source": "file",
            "path": "tiny.json.gz",
            "column": "e_form",
            "target_name": "formation energy",
            "unit": "eV/atom",
            "intensive": True,
            "transform": "element_reference",
        }
    },
    "splits": {"folds": 2, "holdouts": 3},
    "recipes": {
        "baseline": BASELINE,
        **dict.fromkeys(["ssa", "ssa_consistency", "ssa_shifted", "multitask", "labels_only"]),
        **dict.fromkeys(["scratch", "scratch_student", "scratch_labels_only"]),
    },
    "experiments": {
        "e0": {"seeds": [0]},
        "e3": {"seeds": [0, 1]},
        "e4": {"seeds": [0]},
        **dict.fromkeys(["e1", "e1_consistency", "e1_shifted", "e2", "e5", "e6", "labels_only"]),
        **dict.fromkeys(["e0_scratch", "e3_scratch", "e4_scratch", "labels_only_scratch"]),
    },
    "series": {"pretrained": {"action": "warn"}},
    "report": {"worst_n": 1},
}
_JOB = re.compile(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class House:
    """A copy of the repository in which Snakemake and the programs run."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results" / CONFIG["run"]

    def call(self, *command: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with this interpreter first on the path.

        Programs, Snakemake and its jobs start warm (`warm_python`); what is to be killed, or to be
        as a user's shell starts it, is started with `subprocess.Popen`.
        """
        return subprocess.run(
            started_warm([str(part) for part in command]),
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def snakemake(self, *arguments: object, config: str = "tiny.json") -> Any:
        return self.call(
            "snakemake", "--cores", 2, "--workflow-profile", "profiles/cpu",
            *arguments, "--configfile", config,
        )  # fmt: skip

    def jobs(self, config: str = "tiny.json") -> dict[str, set[str]]:
        """Rules and first outputs (below the study's folder) of a dry run's jobs."""
        # The profile leaves out what a job makes.
        done = self.snakemake("-n", "--quiet", "host", config=config)
        assert done.returncode == 0, done.stderr
        found: dict[str, set[str]] = {}
        for rule, outputs in _JOB.findall(done.stdout + done.stderr):
            first = outputs.split(", ")[0].removeprefix(f"results/{CONFIG['run']}/")
            if rule != "all":
                found.setdefault(rule, set()).add(first)
        assert bool(found) != ("Nothing to be done" in done.stdout + done.stderr)
        return found

    def program(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.call(sys.executable, f"scripts/{name}", *arguments)

    def write_config(self, name: str, **changes: Any) -> str:
        """A study file; `changes` replace top-level keys of the tiny study."""
        (self.root / name).write_text(json.dumps({**CONFIG, **changes}))
        return name

    def training(self, out: Path, **changes: object) -> list[object]:
        """Arguments of train_model.py for the first teacher of fold 0, `changes` over them."""
        data = self.results / "data" / TASK
        options: dict[str, object] = {
            "targets": data / "targets.parquet",
            "graphs": data / "graphs",
            "split": self.results / "splits" / TASK / "fold_0.json",
            "recipe-name": "baseline",
            "recipe": json.dumps(BASELINE),
            "seed": 0,
            "holdout": 0,
            "transform": "element_reference",
            "device": "cpu",
            "out": out,
        }
        return flags({**options, **changes})

    def prediction(self, model: Path, out: Path, **changes: object) -> list[object]:
        """Arguments of predict.py for the test and training rows of fold 0."""
        options: dict[str, object] = {
            "model": model,
            "graphs": self.results / "data" / TASK / "graphs",
            "split": self.results / "splits" / TASK / "fold_0.json",
            "subsets": ["test", "train"],
            "holdout": 0,
            "device": "cpu",
            "out": out,
        }
        return flags({**options, **changes})

    def copy(self, target: Path) -> House:
        """The whole house, results and Snakemake's memory included, at another place."""
        shutil.copytree(self.root, target)
        return House(target)


def started_warm(command: list[str]) -> list[str]:
    """The same command with an interpreter that has imported the libraries."""
    if command[0] == "snakemake":
        return [warm_python(), "-m", *command]
    return [warm_python(), *command[1:]] if command[0] == sys.executable else command


def flags(options: dict[str, object]) -> list[object]:
    """`--key value` for every option; a list gives several values."""
    return [
        part
        for key, value in options.items()
        for part in (f"--{key}", *(value if isinstance(value, list) else [value]))
    ]


def tiny_dataset(path: Path) -> None:
    """Every eleventh embedded crystal, one isolated atom, one row without a readable structure."""
    table = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    picked = range(0, len(table["index"]), len(table["index"]) // N_CRYSTALS)[:N_CRYSTALS]
    lonely = {
        "lattice": {"matrix": [[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]]},
        "sites": [{"species": [{"element": "Ne", "occu": 1}], "abc": [0, 0, 0]}],
    }
    column = table["columns"].index("structure")
    rows = []
    for structure in (lonely, {"lattice": "gone"}):
        row = list(table["data"][0])
        row[column] = structure
        rows.append(row)
    content = {
        "index": [*(table["index"][row] for row in picked), ISOLATED, UNREADABLE],
        "columns": table["columns"],
        "data": [*(table["data"][row] for row in picked), *rows],
    }
    path.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


def build_house(root: Path, parts: Sequence[str] = PARTS) -> House:
    root.mkdir()
    for part in parts:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, root / part)
        else:
            shutil.copy(source, root / part)
    house = House(root)
    tiny_dataset(root / "tiny.json.gz")
    house.write_config("tiny.json")
    return house
