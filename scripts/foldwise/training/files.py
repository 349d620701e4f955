"""What a training job reads, where it writes, and whether these go together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet
from foldwise.study.recipe import Recipe
from foldwise.training.soft_targets import SoftTargets, read_soft_targets


@dataclass(frozen=True)
class TrainingFiles:
    """What all models of a fold read.

    Attributes:
        targets: targets.parquet of the task.
        graphs: Its graph store.
        split: Split file of the fold.
        soft_targets: Soft targets of a student.
        copies: Graph store of the copies, where the soft targets are about them.
    """

    targets: Path
    graphs: Path
    split: Path
    soft_targets: Path | None = None
    copies: Path | None = None


@dataclass(frozen=True)
class SeedJob:
    """The model of a training job.

    Attributes:
        seed: Decides random weights, batch order, bootstrap.
        holdout: The hold-out of the split that validates; the other training rows are fitted.
        out: Folder of the checkpoint.
        backbone: Checkpoint of the joint pretraining, where the recipe has one.
        pretraining: Record of that pretraining.
    """

    seed: int
    holdout: int
    out: Path
    backbone: Path | None = None
    pretraining: Path | None = None


def target_by_id(path: str | os.PathLike[str]) -> dict[str, float]:
    """Target of every crystal of a task, in the task's unit.

    Raises:
        FoldwiseError: The file is missing, truncated, or lacks a column.
    """
    table = read_parquet(path, ("id", "target"))
    return dict(zip(table["id"].astype(str), table["target"].astype(float), strict=True))


def soft_targets_of(path: Path | None, recipe: Recipe) -> SoftTargets | None:
    """The soft targets of a student, `None` of a teacher.

    Raises:
        FoldwiseError: The recipe has a teacher and there is no file, or the other way round.
    """
    if path is not None and recipe.teacher is not None:
        return read_soft_targets(path, recipe.teacher)
    if path is not None or recipe.teacher is not None:
        raise FoldwiseError(
            "soft targets belong to a recipe with a teacher, and to no other",
            where="--soft-targets",
            hint="Give both or neither.",
        )
    return None


def pretraining_cost(job: SeedJob, recipe: Recipe) -> dict[str, float]:
    """Seconds and passes that the joint pretraining took; empty without one.

    Raises:
        FoldwiseError: The recipe has a pretraining and the files are missing, or the reverse.
    """
    given = {job.backbone is not None, job.pretraining is not None, recipe.pretrain is not None}
    if len(given) > 1:
        raise FoldwiseError(
            "a backbone, its record and a recipe with pretrain belong together",
            where="--backbone, --pretraining",
            hint="Give all three or none.",
        )
    record = read_json(job.pretraining) if job.pretraining else {}
    keys = ("wall_time_sec", "cpu_time_sec", "passes")
    return {key: float(record[key]) for key in keys if key in record}


def check_rows(
    files: TrainingFiles, fit_ids: list[str], validation_ids: list[str], targets: dict[str, float]
) -> None:
    """Check that there are rows to fit and to validate, and that each has a target.

    Raises:
        FoldwiseError: One of these is not so.
    """
    if not (fit_ids and validation_ids):
        raise FoldwiseError(
            "no row to fit or to validate has a graph",
            where=str(files.split),
            hint="Make graphs and splits from the same dataset.",
        )
    absent = [crystal for crystal in (*fit_ids, *validation_ids) if crystal not in targets]
    if absent:
        raise FoldwiseError(
            f"{len(absent)} id(s) of the split have no target, the first is {absent[0]!r}",
            where=str(files.targets),
            hint="Make targets and splits from the same dataset.",
        )
