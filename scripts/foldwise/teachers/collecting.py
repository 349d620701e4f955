"""From what a program left to the files that every trained model leaves."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet
from foldwise.crystals.names import copied_crystal
from foldwise.prediction.outside import OutsideAnswers, OutsideFit, write_outside_model
from foldwise.statistics.classification import are_classes
from foldwise.tasks.splits import FoldSplit
from foldwise.teachers.checking import BadTeacherError, Left, read_left
from foldwise.teachers.folder import job_rows
from foldwise.teachers.outcomes import refuse
from foldwise.teachers.running import WORK


@dataclass(frozen=True)
class Collected:
    """Which model a program's answers are those of.

    Attributes:
        recipe: Name of the recipe.
        hyperparams: The recipe, plain.
        seed: Its seed.
        holdout: The hold-out that it was given to validate on.
        goes_on: Whether a failed program is recorded as left out, instead of ending here.
    """

    recipe: str
    hyperparams: dict[str, Any]
    seed: int
    holdout: int
    goes_on: bool


def collect(
    about: Collected,
    *,
    left: str | os.PathLike[str],
    outcome: str | os.PathLike[str],
    targets: str | os.PathLike[str],
    split: str | os.PathLike[str],
    graph_failures: str | os.PathLike[str],
    copies: str | os.PathLike[str] | None,
    model: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
) -> str | None:
    """Check what a program left and write the files of its model.

    Test rows that have no graph are left out, as every other model of the study leaves them out.
    The folder in which the program ran is removed where its answers are good. Where they are not
    and the study does not go on, the outcome is marked as failed: the next call runs it again.

    Args:
        about: Which model it is.
        left: What was kept of the program's folder.
        outcome: The runner's `outcome.json`.
        targets: targets.parquet of the task.
        split: Split file of the fold.
        graph_failures: failures.csv of the graphs.
        copies: Graph store of the copies that it was asked about.
        model: Folder of the model.
        predictions: Folder of its answers.

    Returns:
        Why the model is left out; `None` where it answered.

    Raises:
        FoldwiseError: The program failed, or what it left cannot be used, and the study does not
            go on without it.
    """
    fold = FoldSplit.read(split)
    table = read_parquet(targets, ("id", "target"))
    rows = job_rows(fold, about.holdout, table)
    labels = table.set_index("id")["target"]
    changed = _ids_of_copies(copies)
    asked = [*rows.loc[rows["part"] != "fit", "id"], *changed.asked]
    facts = read_json(outcome)
    fit = OutsideFit(
        recipe=about.recipe,
        task=fold.task,
        fold=fold.fold,
        seed=about.seed,
        kind="program",
        hyperparams=about.hyperparams,
        n_train=int((rows["part"] == "fit").sum()),
        n_validation=int((rows["part"] == "validate").sum()),
        seconds=float(facts["seconds"]),
        cpu_seconds=float(facts["cpu_seconds"]),
        peak_memory_bytes=int(facts["peak_memory_bytes"]),
        device=str(facts["device"]),
        threads=int(facts["threads"]),
    )
    reason = None
    try:
        found = read_left(left, outcome, asked, labels.loc[list(fold.train)])
    except BadTeacherError as error:
        where = f"recipes.{about.recipe}, fold {fold.fold}, seed {about.seed}"
        if not about.goes_on:
            refuse(outcome, error.what)  # the next call runs it again
            raise FoldwiseError(
                error.what,
                where=where,
                hint=f"Its log is {Path(model) / 'program.log'}, its folder "
                f"{Path(left).with_name(WORK)}; mend it and call again, or set "
                "on_failure: leave_out.",
            ) from None
        reason = error.what
        found = Left(pd.Series(dtype=float), None, {})
    if reason is None:
        shutil.rmtree(Path(left).with_name(WORK), ignore_errors=True)
    more = {"packages": facts["packages"], "said": found.said, "failed": reason}
    lost = _failed_ids(graph_failures)
    test = [name for name in fold.test if name not in lost]
    held = rows.loc[rows["part"] == "validate", "id"].tolist()
    answers = OutsideAnswers(
        test=_part(found, test),
        held_out=_part(found, held),
        copies=None if copies is None else _part(found, changed.kept),
        classes=are_classes(labels),
    )
    write_outside_model(
        model,
        predictions,
        _with(fit, more),
        answers,
        targets=labels,
        history=found.history,
    )
    return reason


@dataclass(frozen=True)
class _Copies:
    """Ids of the copies that a program was asked about, and of those that have a graph."""

    asked: list[str]
    kept: list[str]


def _ids_of_copies(graphs: str | os.PathLike[str] | None) -> _Copies:
    if graphs is None:
        return _Copies([], [])
    lost = [name for name in sorted(_failed_ids(Path(graphs) / "failures.csv"))
            if copied_crystal(name)]  # fmt: skip
    kept = [str(name) for name in read_json(Path(graphs) / "meta.json")["ids"]]
    return _Copies([*kept, *lost], kept)


def _failed_ids(path: str | os.PathLike[str]) -> set[str]:
    return set(pd.read_csv(path, dtype=str, keep_default_na=False)["id"])


def _part(left: Left, ids: list[str]) -> pd.Series[float]:
    """The answers for these rows; none of a program that failed."""
    return left.answers.reindex(ids) if len(left.answers) else left.answers


def _with(fit: OutsideFit, more: dict[str, Any]) -> OutsideFit:
    return OutsideFit(**{**vars(fit), "more": more})
