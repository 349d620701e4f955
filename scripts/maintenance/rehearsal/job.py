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

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, bytes_of, read_json, write_csv, write_text
from foldwise.estimate.demands import DEMANDS
from foldwise.estimate.sizes import TaskSize
from foldwise.estimate.trial import try_training
from foldwise.tasks.official import official_task
from maintenance.rehearsal.dataset import official_rows, write_rehearsal

NOTICE = (
    "REHEARSAL: official ids and targets, but stand-in crystals that no calculation has seen.\n"
    "Nothing here says how accurate a model is; do not submit it.\n"
)
EXPERIMENT = "e0"
COLUMNS = ["stage", "seconds", "peak_bytes", "disk_bytes", "declared_mb", "cpu_seconds"]
# What each stage leaves on disk, below the study's folder.
_MADE = {
    "prepare_dataset": "data/*/[!gc]*",
    "build_graphs": "data/*/graphs",
    "make_splits": "splits/*/fold_*.json",
    "report_duplicates": "splits/*/duplicates.*",
    "train_model": "models",
    "predict": "predictions/*/*/*/*/t*",
    "write_experiment": EXPERIMENT,
    "write_site": "site",
}
_MB = 2**20


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal.

    Attributes:
        task: Official task.
        targets: Table of compositions, see `official_rows`.
        cores: Cores for Snakemake.
        model: Network to train, one epoch on each fold.
        trial: Seconds of one trial training instead; the later stages are left out.
        goes_on: Whether what an earlier call has made stays.
    """

    task: str
    targets: str | os.PathLike[str] | None
    cores: int
    model: str
    trial: float | None = None
    goes_on: bool = False

    @property
    def name(self) -> str:
        """Of its study."""
        return f"rehearsal_{self.task}"

    @property
    def root(self) -> Path:
        """Folder of its study."""
        return REPOSITORY / "results" / self.name


def remove_rehearsal(root: Path, dataset: Path) -> None:
    """Remove an earlier rehearsal, which its dataset tells from a study of the user's.

    Raises:
        FoldwiseError: The folder holds something, but no such dataset.
    """
    if not root.exists():
        return
    if root.is_symlink() or not root.is_dir() or (any(root.iterdir()) and not dataset.is_file()):
        raise FoldwiseError(
            f"the folder would be removed, but it holds no {dataset.name}, so that no rehearsal "
            "made it",
            where=str(root),
            hint="Move it away.",
        )
    shutil.rmtree(root)


def rehearse(plan: Rehearsal, say: Callable[[str], None]) -> Path:
    """Make the dataset, run the study with one experiment, and write the table of its stages.

    `results/rehearsal_{task}/` holds `stages.csv` afterwards, and `submission/` if every row was
    predicted. The result folder and the site are removed: their errors mean nothing.

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
        # Before anything is removed: a mistyped path must not cost the hours of an earlier one.
        rows = official_rows(plan.task, plan.targets)
        if not plan.goes_on:
            remove_rehearsal(root, file)
        say(write_rehearsal(rows, file))
    config = root / "study.yaml"
    study = _study(plan, file)
    write_text(config, yaml.safe_dump(study))
    if plan.trial is None:
        _make(plan, config, (f"{EXPERIMENT}/results.json", "site/index.html"))
        table = stages(root, plan.task)
        if (root / EXPERIMENT / "matbench").exists():
            shutil.copytree(root / EXPERIMENT / "matbench", root / "submission", dirs_exist_ok=True)
        for folder in (EXPERIMENT, "site"):
            shutil.rmtree(root / folder)
    else:
        _make(plan, config, (f"data/{plan.task}/graphs", f"splits/{plan.task}/duplicates.json"))
        table = pd.concat([stages(root, plan.task), _tried(plan, plan.trial, study)])
    write_csv(root / "stages.csv", table)
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


def _tried(plan: Rehearsal, seconds: float, study: dict[str, Any]) -> pd.DataFrame:
    """A row for a trial training on the first fold of the whole store."""
    data = f"results/{plan.name}/data/{plan.task}"
    files = {
        "targets": f"{data}/targets.parquet",
        "graphs": f"{data}/graphs",
        "split": f"results/{plan.name}/splits/{plan.task}/fold_0.json",
    }
    trial = try_training(
        study["recipes"]["baseline"], files, transform=study["datasets"][plan.task]["transform"],
        threads=1, copies=1, limit=seconds,
    )  # fmt: skip
    row = {
        "stage": f"an epoch of train_model, by {trial.steps} steps of one thread",
        "seconds": trial.seconds_per_epoch,
        "peak_bytes": trial.host_bytes,
        "disk_bytes": 0,
        "declared_mb": DEMANDS["train_model"].memory_mb(size_of(plan.root, plan.task)),
        "cpu_seconds": trial.seconds_per_epoch * trial.busy,
    }
    return pd.DataFrame([row], columns=COLUMNS)


def size_of(root: Path, task: str) -> TaskSize:
    """Structures and atoms that a study's task has."""
    card = read_json(root / "data" / task / "card.json")
    atoms = int(read_json(root / "data" / task / "graphs" / "meta.json")["n_atoms"])
    return TaskSize(int(card["n_accepted"]), atoms)


def stages(root: Path, task: str) -> pd.DataFrame:
    """Seconds, peak memory and disk of every rule of a finished study, or of a part of it.

    `cpu_seconds` are of all cores together, and say what a job takes on a shared machine. Of
    several jobs of one rule the longest and the largest count. Bytes are of resident memory, as
    Snakemake's benchmarks measure it.

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
        if rule not in DEMANDS or not tables:
            continue
        table = pd.concat(tables)
        rows.append(
            {
                "stage": rule,
                "seconds": float(table["s"].max()),
                "peak_bytes": round(float(table["max_rss"].max()) * _MB),
                "disk_bytes": sum(map(bytes_of, root.glob(_MADE.get(rule, f"{rule}/*")))),
                "declared_mb": DEMANDS[rule].memory_mb(size),
                "cpu_seconds": float(table["cpu_time"].max()),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("seconds", ascending=False)


def _study(plan: Rehearsal, file: Path) -> dict[str, Any]:
    """The rehearsal as a config."""
    official = official_task(plan.task)
    assert official is not None  # official_rows has refused it
    energy = official.name == "matbench_mp_e_form"
    return {
        "run": plan.name,
        "task": plan.task,
        "datasets": {
            plan.task: {
                "source": "file",
                "path": str(file.relative_to(REPOSITORY)),
                "target_name": official.target,
                "unit": official.unit,
                "intensive": True,
                "transform": "element_reference" if energy else "standardize",
            }
        },
        "recipes": {
            "baseline": {
                "model": plan.model,
                "init": "scratch",
                "epochs": 1,
                "batch_size": 32,
                "lr": 1e-3,
                "patience": 1,
            }
        },
        "experiments": {
            EXPERIMENT: {
                "title": "REHEARSAL on stand-in crystals: not a result",
                "purpose": NOTICE.replace("\n", " ").strip(),
            }
        },
        "only": [EXPERIMENT],
        "series": {"pretrained": {"action": "warn"}},
        "report": {"worst_n": 3},
    }
