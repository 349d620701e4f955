"""A whole official task, from the file to the submission, on stand-in crystals: its stages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from foldwise.cluster.demands import DEMANDS
from foldwise.cluster.sizes import TaskSize
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, bytes_of, read_json, write_csv, write_text
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.tasks.official import official_task
from maintenance.bench.rehearsal.bounded import STUDENT, FirstFold
from maintenance.bench.rehearsal.dataset import official_rows, write_rehearsal

NOTICE = (
    "REHEARSAL: official ids and targets, but stand-in crystals that no calculation has seen.\n"
    "Nothing here says how accurate a model is; do not submit it.\n"
)
DEFAULT = "config/config.yaml"
EXPERIMENT, ENSEMBLE, STUDENTS = "e0", "e3", "e4"
MEMBERS = 3
COPIES = 1
"""Of each training crystal, for the student. A study's four take four times as long."""
BATCH_SIZE = 32
TRAININGS = "trainings.csv"
COLUMNS = ["stage", "seconds", "peak_bytes", "disk_bytes", "declared_mb", "cpu_seconds"]
# Rules that are another one with other files, and are declared by it, with the copies' size.
_OF_COPIES = {"build_copy_graphs": "build_graphs", "predict_copies": "predict"}
# What each stage leaves on disk, below the study's folder.
_MADE = {
    "prepare_dataset": "data/*/[!gc]*",
    "build_graphs": "data/*/graphs",
    "perturb_structures": "data/*/copies/*/structures.npz",
    "build_copy_graphs": "data/*/copies/*/graphs",
    "make_splits": "splits/*/fold_*.json",
    "report_duplicates": "splits/*/duplicates.*",
    "train_model": "models",
    "predict": "predictions/*/*/*/*/t*",
    "predict_copies": "predictions/*/*/*/*/copies.parquet",
    "average_predictions": "ensembles",
    "write_experiment": EXPERIMENT,
    "write_site": "site",
}
_MB = 2**20


@dataclass(frozen=True)
class Bounds:
    """What is trained of a task whose epochs take hours.

    Attributes:
        rows: Training rows that the first fold's model is fitted to; it answers for all folds.
        seconds: Of a teacher's and of a student's training on these rows, at most.
    """

    rows: int
    seconds: float


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal.

    Attributes:
        task: Official task.
        targets: Table of compositions, see `official_rows`.
        cores: Cores for Snakemake.
        epochs: Of every training.
        model: Network to train.
        bounds: What is trained instead of every fold.
        goes_on: Whether what an earlier call has made stays.
    """

    task: str
    targets: str | os.PathLike[str] | None
    cores: int
    epochs: int
    model: str
    bounds: Bounds | None = None
    goes_on: bool = False

    @property
    def name(self) -> str:
        """Of its study."""
        return f"rehearsal_{self.task}"

    @property
    def root(self) -> Path:
        """Folder of its study."""
        return REPOSITORY / "results" / self.name


def rehearse(plan: Rehearsal, say: Callable[[str], None]) -> Path:
    """Make the dataset, run the study with one experiment, and write the table of its stages.

    `results/rehearsal_{task}/` holds `stages.csv` afterwards, and `submission/` where every row was
    answered. The result folder and the site go: their errors mean nothing.

    Args:
        plan: What is rehearsed.
        say: Takes a line for the user.

    Returns:
        The folder.

    Raises:
        FoldwiseError: The dataset cannot be made, or a job fails.
    """
    root = plan.root
    file = root / f"{plan.name}.json.gz"
    if not (plan.goes_on and file.exists()):
        # Before anything goes: a mistyped path must not cost the hours of an earlier rehearsal.
        rows = official_rows(plan.task, plan.targets)
        if not plan.goes_on:
            shutil.rmtree(root, ignore_errors=True)
        say(write_rehearsal(rows, file))
    config = root / "study.yaml"
    write_text(config, yaml.safe_dump(_study(plan, file, taught=False)))
    goals = (f"{EXPERIMENT}/results.json", "site/index.html")
    more = [] if plan.bounds is None else _bounded(plan, plan.bounds, file)
    _make(plan, config, goals)
    table = stages(root, plan.task)
    write_csv(root / "stages.csv", pd.concat([table, pd.DataFrame(more, columns=COLUMNS)]))
    if (root / EXPERIMENT / "matbench").exists():
        shutil.copytree(root / EXPERIMENT / "matbench", root / "submission", dirs_exist_ok=True)
    for folder in (EXPERIMENT, "site"):
        shutil.rmtree(root / folder)
    write_text(root / "REHEARSAL.txt", NOTICE)
    say(NOTICE.strip())
    return root


def _make(plan: Rehearsal, config: Path, goals: Sequence[str]) -> None:
    call = [
        sys.executable, "-m", "snakemake", "--cores", str(plan.cores), "--quiet", "rules",
        "--workflow-profile", "profiles/cpu", "--configfile", str(config.relative_to(REPOSITORY)),
        "--", *[f"results/{plan.name}/{goal}" for goal in goals],
    ]  # fmt: skip
    if subprocess.run(call, cwd=REPOSITORY, check=False).returncode:
        raise FoldwiseError(
            "a job of the rehearsal failed", where=str(plan.root / "logs"), hint="Read its log."
        )


def _bounded(plan: Rehearsal, bounds: Bounds, file: Path) -> list[dict[str, Any]]:
    """Everything before the result folder, with one model; rows of what Snakemake did not run.

    Writes `trainings.csv` too: what a step of each network takes.
    """
    task, root = plan.task, plan.root
    config = root / "taught.yaml"
    write_text(config, yaml.safe_dump(_study(plan, file, taught=True)))
    study = parse_study(load_config([REPOSITORY / DEFAULT, config]))
    first = FirstFold(study, root, threads=1)
    _make(plan, config, (f"data/{task}/graphs", f"splits/{task}/duplicates.json"))
    first.fit_few(bounds.rows)
    _make(plan, config, [str(path.relative_to(root)) for path in first.answers])
    first.share_answers()
    _make(plan, config, [str(path.relative_to(root)) for path in first.copies])
    average = first.average(members=MEMBERS)
    size = size_of(root, task)
    rows = [
        {
            "stage": f"average_predictions, {MEMBERS} members",
            **average._asdict(),
            "disk_bytes": bytes_of(root / "bounded" / "ensemble.parquet"),
            "declared_mb": DEMANDS["average_predictions"].memory_mb(size),
        }
    ]
    trainings = []
    for name, student in (("teacher", False), ("student", True)):
        cut = first.cut_training(bounds.seconds, student=student)
        rows.append(
            {
                "stage": f"train_model, {name}: {cut.steps} of {cut.of} steps of an epoch",
                **cut.taken._asdict(),
                "disk_bytes": cut.disk_bytes,
                "declared_mb": DEMANDS["train_model"].memory_mb(
                    size * (1 + COPIES) if student else size
                ),
            }
        )
        trainings.append(
            {
                "training": name,
                "model": plan.model,
                "batch_size": BATCH_SIZE,
                "threads": first.threads,
                "steps": cut.steps,
                "steps_of_an_epoch": cut.of,
                "seconds_per_step": cut.seconds_per_step,
                # Where other work shares the cores, what the step itself takes of them.
                "cpu_seconds_per_step": cut.seconds_per_step
                * cut.taken.cpu_seconds
                / cut.taken.seconds,
            }
        )
    write_csv(root / TRAININGS, pd.DataFrame(trainings))
    return rows


def size_of(root: Path, task: str) -> TaskSize:
    """Structures and atoms that a study's task has."""
    card = read_json(root / "data" / task / "card.json")
    atoms = int(read_json(root / "data" / task / "graphs" / "meta.json")["n_atoms"])
    return TaskSize(int(card["n_accepted"]), atoms)


def stages(root: Path, task: str) -> pd.DataFrame:
    """Seconds, peak memory and disk of every rule of a finished study, or of a part of it.

    Seconds are those of a clock; `cpu_seconds` are of all cores together, and say what a job takes
    where others share them. Of several jobs of one rule the longest and the largest count. Bytes
    are of resident memory, as Snakemake's benchmarks measure it.

    Args:
        root: `results/{study}`.
        task: Its task.
    """
    size = size_of(root, task)
    rows: list[dict[str, Any]] = []
    for place in sorted((root / "benchmarks").iterdir()):
        rule = place.stem
        files = [place] if place.is_file() else place.rglob("*.tsv")
        tables = [pd.read_csv(path, sep="\t") for path in files]
        known = _OF_COPIES.get(rule, rule)
        if known not in DEMANDS or not tables:
            continue
        own = size * COPIES if rule in _OF_COPIES else size
        table = pd.concat(tables)
        rows.append(
            {
                "stage": rule,
                "seconds": float(table["s"].max()),
                "peak_bytes": round(float(table["max_rss"].max()) * _MB),
                "disk_bytes": sum(map(bytes_of, root.glob(_MADE.get(rule, f"{rule}/*")))),
                "declared_mb": DEMANDS[known].memory_mb(own),
                "cpu_seconds": float(table["cpu_time"].max()),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("seconds", ascending=False)


def _study(plan: Rehearsal, file: Path, *, taught: bool) -> dict[str, Any]:
    """The rehearsal as a config; with a student of its one model where it is `taught`."""
    task = plan.task
    official = official_task(task)
    assert official is not None  # official_rows has refused it
    energy = official.name == "matbench_mp_e_form"
    recipe = {
        "model": plan.model, "init": "scratch", "epochs": plan.epochs,
        "batch_size": BATCH_SIZE,
        "lr": 1e-3, "patience": plan.epochs,
    }  # fmt: skip
    return {
        "run": plan.name,
        "task": task,
        "datasets": {
            task: {
                "source": "file",
                "path": str(file.relative_to(REPOSITORY)),
                "target_name": official.target,
                "unit": official.unit,
                "intensive": True,
                "transform": "element_reference" if energy else "standardize",
            }
        },
        "copies": {"copies": COPIES},
        "recipes": {
            "baseline": recipe,
            STUDENT: {"extends": "baseline"}
            | {"teacher": {"ensemble": ENSEMBLE, "targets": "augmented"}},
        },
        "experiments": {
            EXPERIMENT: {
                "title": "REHEARSAL on stand-in crystals: no result",
                "purpose": NOTICE.replace("\n", " ").strip(),
            },
            ENSEMBLE: {"seeds": [0]},
        },
        "only": [EXPERIMENT, ENSEMBLE, STUDENTS] if taught else [EXPERIMENT],
        "series": {"pretrained": {"action": "warn"}},
        "report": {"worst_n": 3},
    }
