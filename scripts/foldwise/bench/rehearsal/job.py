"""A whole official task, from the file to the submission, on stand-in crystals: its stages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from foldwise.bench.rehearsal.dataset import write_rehearsal
from foldwise.cluster.demands import DEMANDS
from foldwise.cluster.sizes import TaskSize
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json, write_csv, write_text
from foldwise.tasks.official import official_task

NOTICE = (
    "REHEARSAL: official ids and targets, but stand-in crystals that no calculation has seen.\n"
    "Nothing here says how accurate a model is; do not submit it.\n"
)
EXPERIMENT = "e0"
COLUMNS = ["stage", "seconds", "peak_bytes", "disk_bytes", "declared_mb", "cpu_seconds"]
# What each stage leaves on disk, below the study's folder.
_MADE = {
    "prepare_dataset": "data/*/[!g]*",
    "build_graphs": "data/*/graphs",
    "make_splits": "splits/*/fold_*.json",
    "report_duplicates": "splits/*/duplicates.*",
    "train_model": "models",
    "predict": "predictions",
    "write_experiment": EXPERIMENT,
}
_MB = 2**20


def rehearse(
    task: str,
    *,
    targets: str | os.PathLike[str] | None,
    cores: int,
    epochs: int,
    model: str,
    say: Callable[[str], None],
) -> Path:
    """Make the dataset, run the study with one experiment, and write the table of its stages.

    `results/rehearsal_{task}/` holds `stages.csv` and `submission/` afterwards. The result folder
    goes: its errors mean nothing.

    Args:
        task: Official task.
        targets: Table of compositions, see `compositions_of`.
        cores: Cores for Snakemake.
        epochs: Of every training.
        model: Network to train.
        say: Takes a line for the user.

    Returns:
        The folder.

    Raises:
        FoldwiseError: The dataset cannot be made, or a job fails.
    """
    name = f"rehearsal_{task}"
    root = REPOSITORY / "results" / name
    shutil.rmtree(root, ignore_errors=True)
    file = root / f"{name}.json.gz"
    rows = write_rehearsal(task, file, targets=targets)
    say(f"{rows} stand-in crystals with the official ids of {task}: {file}")
    config = root / "study.yaml"
    write_text(config, yaml.safe_dump(_study(task, name, file, epochs, model)))
    call = [
        sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "rules",
        "--workflow-profile", "profiles/cpu", "--configfile", str(config.relative_to(REPOSITORY)),
        "--", f"results/{name}/{EXPERIMENT}/results.json",
    ]  # fmt: skip
    if subprocess.run(call, cwd=REPOSITORY, check=False).returncode:
        raise FoldwiseError(
            "a job of the rehearsal failed", where=str(root / "logs"), hint="Read its log."
        )
    write_csv(root / "stages.csv", stages(root, task))
    shutil.copytree(root / EXPERIMENT / "matbench", root / "submission")
    shutil.rmtree(root / EXPERIMENT)
    write_text(root / "REHEARSAL.txt", NOTICE)
    say(NOTICE.strip())
    return root


def stages(root: Path, task: str) -> pd.DataFrame:
    """Seconds, peak memory and disk of every rule of a finished study, or of a part of it.

    Seconds are those of a clock; `cpu_seconds` are of all cores together, and say what a job takes
    where others share them. Of several jobs of one rule the longest and the largest count. Bytes
    are of resident memory, as Snakemake's benchmarks measure it.

    Args:
        root: `results/{study}`.
        task: Its task.
    """
    card = read_json(root / "data" / task / "card.json")
    atoms = int(read_json(root / "data" / task / "graphs" / "meta.json")["n_atoms"])
    size = TaskSize(int(card["n_accepted"]), atoms)
    rows: list[dict[str, Any]] = []
    for folder in sorted((root / "benchmarks").iterdir()):
        rule = folder.name
        tables = [pd.read_csv(path, sep="\t") for path in folder.rglob("*.tsv")]
        if rule not in DEMANDS or not tables:
            continue
        table = pd.concat(tables)
        rows.append(
            {
                "stage": rule,
                "seconds": float(table["s"].max()),
                "peak_bytes": round(float(table["max_rss"].max()) * _MB),
                "disk_bytes": sum(map(_bytes, root.glob(_MADE.get(rule, f"{rule}/*")))),
                "declared_mb": DEMANDS[rule].memory_mb(size),
                "cpu_seconds": float(table["cpu_time"].max()),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("seconds", ascending=False)


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _study(task: str, name: str, file: Path, epochs: int, model: str) -> dict[str, Any]:
    official = official_task(task)
    assert official is not None  # write_rehearsal has refused it
    energy = official.name == "matbench_mp_e_form"
    recipe = {
        "model": model, "init": "scratch", "epochs": epochs, "batch_size": 32, "lr": 1e-3,
        "patience": epochs,
    }  # fmt: skip
    return {
        "run": name,
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
        "recipes": {"baseline": recipe},
        "experiments": {
            EXPERIMENT: {
                "title": "REHEARSAL on stand-in crystals: no result",
                "purpose": NOTICE.replace("\n", " ").strip(),
            }
        },
        "only": [EXPERIMENT],
        "series": {"pretrained": {"action": "warn"}},
        "report": {"worst_n": 3, "bootstrap": 1000},
    }
