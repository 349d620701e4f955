"""The official Matbench v0.1 tasks: names, ids, folds and files.

Everything is read from the JSON files inside the installed `matbench` and `matminer` packages.
Importing `matbench` itself would load pandas, scikit-learn and all validation data for seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json

PREFIX = "matbench_"


@dataclass(frozen=True)
class OfficialTask:
    """A task of Matbench v0.1.

    Attributes:
        name: Task name, "matbench_…".
        n_samples: Rows of the complete dataset.
        target: Column of the target.
        unit: Unit of the target.
        input_type: "structure" or "composition": the other column of the file.
        task_type: "regression" or "classification".
        url: Where the official file is served.
        sha256: Checksum of that file.
        reference: Where its data come from.
    """

    name: str
    n_samples: int
    target: str
    unit: str
    input_type: str
    task_type: str
    url: str
    sha256: str
    reference: str

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class, scored by ROC-AUC, and not a number, scored by MAE."""
        return self.task_type == "classification"

    @property
    def file_path(self) -> Path:
        """Where matminer keeps the file: `$MATMINER_DATA`, else the package's own folder."""
        home = os.environ.get("MATMINER_DATA")
        folder = Path(home).expanduser() if home else _package("matminer") / "datasets"
        return folder / f"{self.name}.json.gz"

    def crystal_id(self, row: int) -> str:
        """Official id of a row, numbered from 0, as `matbench.data_ops.load` builds it."""
        prefix = self.name.replace("matbench", "mb").replace("_", "-")
        return f"{prefix}-{row + 1:0{len(str(self.n_samples))}d}"


def official_task(task: str) -> OfficialTask | None:
    """The official task of this name; None where the name does not begin with "matbench_".

    Raises:
        FoldwiseError: The name begins with "matbench_" but is no structure regression task of
            Matbench v0.1, or a package is not installed.
    """
    if not task.startswith(PREFIX):
        return None
    return _named(
        task, crystal_tasks(), "official Matbench task with structures and a numeric target"
    )


def crystal_tasks() -> dict[str, OfficialTask]:
    """The official tasks with structures and a numeric target, by name.

    Raises:
        FoldwiseError: A package is not installed.
    """
    return {
        name: entry
        for name, entry in _official_tasks().items()
        if entry.input_type == "structure" and not entry.is_classification
    }


def any_official_task(task: str) -> OfficialTask | None:
    """As `official_task`, of all 13 tasks: also those of compositions, and of classes.

    Raises:
        FoldwiseError: The name begins with "matbench_" but is no task of Matbench v0.1, or a
            package is not installed.
    """
    if not task.startswith(PREFIX):
        return None
    return _named(task, _official_tasks(), "task of Matbench v0.1")


def _named(task: str, tasks: dict[str, OfficialTask], what: str) -> OfficialTask:
    if task not in tasks:
        raise FoldwiseError(
            f"{task!r} is no {what}",
            where="task",
            hint=f"Use one of {', '.join(sorted(tasks))}, or a name without {PREFIX!r}.",
        )
    return tasks[task]


def official_folds(task: OfficialTask) -> list[dict[str, list[str]]]:
    """The published folds: one dict of "train" and "test" id lists per fold.

    Raises:
        FoldwiseError: The matbench package is not installed or damaged.
    """
    folds = _splits(_package("matbench"))[task.name]
    return [folds[f"fold_{number}"] for number in range(len(folds))]


@cache
def _splits(package: Path) -> dict[str, Any]:
    """All published folds; the file takes a third of a second to read."""
    splits: dict[str, Any] = read_json(package / "matbench_v0.1_validation.json")["splits"]
    return splits


@cache
def _official_tasks() -> dict[str, OfficialTask]:
    matbench = read_json(_package("matbench") / "matbench_v0.1_dataset_metadata.json")
    matminer = read_json(_package("matminer") / "datasets" / "dataset_metadata.json")
    return {name: _task(name, entry, matminer[name]) for name, entry in matbench.items()}


def _task(name: str, entry: dict[str, Any], file: dict[str, Any]) -> OfficialTask:
    return OfficialTask(
        name=name,
        n_samples=entry["n_samples"],
        target=entry["target"],
        unit=entry["unit"] or "class",
        input_type=entry["input_type"],
        task_type=entry["task_type"],
        url=file["url"],
        sha256=file["hash"],
        reference=" ".join(file["reference"].split()),
    )


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FoldwiseError(
            f"the package {name!r} is not installed",
            where="Python environment",
            hint="Install requirements.lock (matbench with --no-deps).",
        )
    return Path(spec.submodule_search_locations[0])
