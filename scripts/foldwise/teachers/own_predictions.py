"""Predictions that were made anywhere, as the answers of a model of the study."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.common.tables import csv_table
from foldwise.prediction.outside import OutsideAnswers, OutsideFit, write_outside_model
from foldwise.statistics.classification import are_classes
from foldwise.tasks.splits import FoldSplit

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no", ""}


@dataclass(frozen=True)
class OwnModel:
    """Which model a table stands for.

    Attributes:
        recipe: Name of the recipe.
        hyperparams: The recipe, plain.
        seed: Its seed.
    """

    recipe: str
    hyperparams: dict[str, Any]
    seed: int


def read_own_predictions(
    about: OwnModel,
    *,
    table: str | os.PathLike[str],
    targets: str | os.PathLike[str],
    split: str | os.PathLike[str],
    graph_failures: str | os.PathLike[str],
    model: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
) -> None:
    """Write the files of a model from a CSV of its answers.

    Args:
        about: Which model it is.
        table: CSV with id, prediction, and where it has them `fold` and `held_out`.
        targets: targets.parquet of the task.
        split: Split file of the fold.
        graph_failures: failures.csv of the graphs; those rows are left out of every model.
        model: Folder of the model.
        predictions: Folder of its answers.

    Raises:
        FoldwiseError: The table lacks a column or a test row, answers one twice or an unknown one,
            or an answer is no finite number.
    """
    fold = FoldSplit.read(split)
    answers, held = _read(Path(table), fold)
    labels = read_parquet(targets, ("id", "target")).set_index("id")["target"]
    lost = set(pd.read_csv(graph_failures, dtype=str, keep_default_na=False)["id"])
    test = [name for name in fold.test if name not in lost]
    _check(answers, held, test, fold, str(table))
    held_out = answers[held]
    fit = OutsideFit(
        recipe=about.recipe,
        task=fold.task,
        fold=fold.fold,
        seed=about.seed,
        kind="predictions",
        hyperparams=about.hyperparams,
        n_train=len(fold.train) - len(held_out),
        n_validation=len(held_out),
        more={"failed": None, "packages": {}, "said": {}},
    )
    write_outside_model(
        model,
        predictions,
        fit,
        OutsideAnswers(answers.loc[test], held_out, classes=are_classes(labels)),
        targets=labels,
    )


def _read(path: Path, fold: FoldSplit) -> tuple[pd.Series[float], pd.Series[bool]]:
    """Answers of this fold by id, and which of them are for rows that the model held out."""
    hint = "Give a CSV with id and prediction, and fold and held_out where they are needed."
    table = csv_table(path, absent=hint)
    missing = [name for name in ("id", "prediction") if name not in table]
    if missing:
        raise FoldwiseError(f"column {missing[0]!r} is missing", where=str(path), hint=hint)
    if "fold" in table:
        table = table[table["fold"].str.strip() == str(fold.fold)]
    marks = table["held_out"].str.strip().str.lower() if "held_out" in table else None
    if marks is not None and not set(marks) <= _TRUE | _FALSE:
        raise FoldwiseError(
            f"held_out is {min(set(marks) - _TRUE - _FALSE)!r}",
            where=str(path),
            hint="Write true or false.",
        )
    ids = table["id"].to_numpy()
    values = pd.to_numeric(table["prediction"], errors="coerce").to_numpy(dtype=np.float64)
    held = marks.isin(_TRUE).to_numpy() if marks is not None else np.zeros(len(table), bool)
    return pd.Series(values, index=ids), pd.Series(held, index=ids)


def _check(
    answers: pd.Series[float], held: pd.Series[bool], test: list[str], fold: FoldSplit, where: str
) -> None:
    def bad(what: str) -> FoldwiseError:
        return FoldwiseError(f"{what} (fold {fold.fold})", where=where, hint="Correct the table.")

    twice = answers.index[answers.index.duplicated()]
    if len(twice):
        raise bad(f"id {twice[0]!r} stands there twice")
    lost = set(test) - set(answers.index)
    if lost:
        raise bad(f"{len(lost):,} of {len(test):,} test rows are missing, {min(lost)!r} among them")
    wrong = [name for name in answers.index[held] if name not in set(fold.train)]
    if wrong:
        raise bad(f"{wrong[0]!r} is held out, but no training row")
    unknown = set(answers.index) - set(fold.train) - set(fold.test)
    if unknown:
        raise bad(f"id {min(unknown)!r} is no row of the task")
    used = answers[[*test, *answers.index[held]]]
    if not np.isfinite(used.to_numpy()).all():
        raise bad(
            f"the prediction for {used.index[~np.isfinite(used.to_numpy())][0]!r} is no number"
        )
