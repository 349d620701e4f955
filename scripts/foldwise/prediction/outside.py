"""What a model from outside leaves: the files of every trained model, but no checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_csv, write_json, write_parquet

Json = dict[str, Any]
HISTORY_COLUMNS = ("epoch", "train_mae", "val_mae")
TRANSFORM = "the model's own"


@dataclass(frozen=True)
class OutsideFit:
    """What is known about the training of a model from outside.

    Attributes:
        recipe: Name of the recipe.
        task: Task, fold and seed say which model it is.
        fold: As `task`.
        seed: As `task`.
        kind: Kind of the recipe.
        hyperparams: The recipe, plain.
        n_train: Rows that it was given to fit.
        n_validation: Rows that it held out.
        seconds: Wall time of everything that it did; 0 where it is not known.
        cpu_seconds: Time over all its threads; `None` where it is not known.
        peak_memory_bytes: Largest memory; `None` where it is not known.
        device: `cpu` or `cuda`.
        threads: CPU threads; `None` where they are not known.
        more: Further facts for the record (packages, what it says of itself, …).
    """

    recipe: str
    task: str
    fold: int
    seed: int
    kind: str
    hyperparams: Json
    n_train: int
    n_validation: int
    seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    device: str = "cpu"
    threads: int | None = None
    more: Json = field(default_factory=dict)

    def as_dict(self, val_mae: float | None, *, classes: bool = False) -> Json:
        """Content of `fit.json`: the keys of a network's, those that it alone has without value."""
        unknown = dict.fromkeys(
            (
                "best_epoch", "epochs_run", "epochs_max", "early_stopped", "patience",
                "train_mae_at_best", "num_params", "sec_per_epoch", "gpu_name",
            )
        )  # fmt: skip
        return {
            "kind": self.kind,
            "recipe": self.recipe,
            "task": self.task,
            "fold": self.fold,
            "seed": self.seed,
            "hyperparams": self.hyperparams,
            "n_train": self.n_train,
            "n_validation": self.n_validation,
            "n_soft_targets": 0,
            "passes": 0,
            "val_mae_at_best": val_mae,
            "val_mae_last5": [],
            "target_transform": {"name": TRANSFORM, **({"classes": True} if classes else {})},
            "device": self.device,
            "precision": TRANSFORM,
            "threads": self.threads,
            "wall_time_sec": self.seconds,
            "cpu_time_sec": self.cpu_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "host_peak_memory_bytes": self.peak_memory_bytes,
            **unknown,
            **self.more,
        }


@dataclass(frozen=True)
class OutsideAnswers:
    """Answers of a model, each a series by id in the unit of the target.

    Attributes:
        test: Of the fold's test rows, in the split's order.
        held_out: Of training rows that it did not fit; empty where there are none.
        copies: Of copies of training crystals; `None` where it was not asked.
        seconds: Time that answering the test rows took; 0 where it is not known apart.
        classes: Whether the targets are 0 and 1, and the answers probabilities of 1.
    """

    test: pd.Series[float]
    held_out: pd.Series[float]
    copies: pd.Series[float] | None = None
    seconds: float = 0.0
    classes: bool = False


def write_outside_model(
    model: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    fit: OutsideFit,
    answers: OutsideAnswers,
    *,
    targets: pd.Series[float],
    history: pd.DataFrame | None = None,
) -> None:
    """Write `fit.json`, `history.csv`, `test.parquet`, `train.parquet`, `test_timing.json`.

    `copies.parquet` comes to them where copies were answered. `train.parquet` holds the rows that
    the model held out alone.

    Args:
        model: Folder of the model.
        predictions: Folder of its answers.
        fit: How it was trained.
        answers: What it answers.
        targets: Target by id; of the held-out rows at least.
        history: One row per epoch with `HISTORY_COLUMNS`, where the model has epochs.

    Raises:
        FoldwiseError: An answer is not finite, or is no probability where it should be one.
    """
    tables = {"test": answers.test, "train": answers.held_out, "copies": answers.copies}
    for subset, values in tables.items():
        if values is not None and not np.isfinite(values.to_numpy(dtype=np.float64)).all():
            raise FoldwiseError(
                "some answers are not finite",
                where=f"{fit.recipe}, fold {fit.fold}, seed {fit.seed}, {subset}",
                hint="Mend the model.",
            )
        if values is not None and answers.classes and not values.between(0.0, 1.0).all():
            wrong = values[~values.between(0.0, 1.0)]
            raise FoldwiseError(
                f"the prediction for {wrong.index[0]!r} is {wrong.iloc[0]:g}, and the targets are "
                "classes 0 and 1",
                where=f"{fit.recipe}, fold {fit.fold}, seed {fit.seed}, {subset}",
                hint="Predict the probability of class 1, from 0 to 1.",
            )
    folder = Path(predictions)
    for subset, values in tables.items():
        if values is None:
            continue
        table = pd.DataFrame({"id": values.index.astype(str), "prediction": values.to_numpy()})
        if subset == "train":
            table["held_out"] = True
        write_parquet(folder / f"{subset}.parquet", table)
    count, seconds = len(answers.test), answers.seconds
    timing = {
        "structures": count,
        "seconds": seconds,
        "structures_per_s": count / seconds if seconds > 0 else None,
        "device": fit.device,
        "threads": fit.threads,
        "views": 1,
    }
    write_json(folder / "test_timing.json", timing)
    held_out = answers.held_out
    error = (held_out - targets.reindex(held_out.index)).abs() if len(held_out) else None
    write_csv(
        Path(model) / "history.csv",
        pd.DataFrame(columns=list(HISTORY_COLUMNS)) if history is None else history,
    )
    write_json(
        Path(model) / "fit.json",
        fit.as_dict(None if error is None else float(error.mean()), classes=answers.classes),
    )
