"""Test-time averaging: a model's answer for a crystal is its mean answer for several views of it.

A view is no relaxed crystal, so its answers are shifted. The mean shift is measured on the model's
own validation rows, against its own answers for the undistorted crystals, and taken off: no label
is needed for that, and no test row is looked at.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json, write_parquet
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import BatchSource, open_batches
from foldwise.graphs.store import GraphStore
from foldwise.graphs.views import TEST_EPOCH, Strength, Views
from foldwise.network.acceleration import accelerate
from foldwise.network.checkpoint import load_model
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.network.output import predict
from foldwise.network.transform import compositions
from foldwise.prediction.job import subset_ids, timing_record
from foldwise.tasks.splits import FoldSplit

Rows = NDArray[np.int64]
Answers = Callable[[BatchSource, Rows], NDArray[np.float64]]


def predict_views(
    model_path: str | os.PathLike[str],
    *,
    graphs: str | os.PathLike[str],
    split_path: str | os.PathLike[str],
    holdout: int,
    count: int,
    strength: Strength,
    seed: int,
    machine: Machine,
    out: str | os.PathLike[str],
) -> None:
    """Write `test.parquet` (id, prediction, view_std), its timing, and `calibration.json`.

    `held_out.parquet` has the same columns as `train.parquet` of a model's plain answers, for the
    rows of its hold-out alone.

    Args:
        model_path: Checkpoint.
        graphs: Graph store of the task.
        split_path: Split file of the fold.
        holdout: The model's own hold-out, on which the bias is measured.
        count: Views per crystal.
        strength: How far they go.
        seed: Decides which views.
        machine: What it computes on.
        out: Folder of the files.

    Raises:
        FoldwiseError: An input is missing or broken, or a prediction is not finite.
    """
    device = set_up_engine(machine)
    model = load_model(model_path)
    network = model.network.to(device)
    split, store = FoldSplit.read(split_path), GraphStore.open(graphs)
    composition, resident = compositions(store), open_batches(store, device)
    views = Views(resident, store.ids, strength, seed)

    known = set(store.ids)
    validation = [row for row in split.fit_and_validation(holdout)[1] if row in known]
    ids = subset_ids(split, "test", store)
    passes = count * len(ids) + (count + 1) * len(validation)
    accelerate(network, store, machine.engine, passes=passes)
    log = ProgressLog(sys.stderr, passes, name=f"fold {split.fold} {count} views")
    log.line(f"{model_path}: {count} views of {len(ids)} structures, {device}")
    done = failures = 0

    def answers(source: BatchSource, rows: Rows) -> NDArray[np.float64]:
        nonlocal done, failures
        values = predict(network, model.transform, source, composition, rows)
        done += len(rows)
        failures += int((~np.isfinite(values)).sum())
        log.step(done, f"views  {failures} failure(s)")
        return values

    rows = store.rows_of(validation)
    held_out = view_answers(answers, views, rows, count).mean(axis=0)
    bias = float((held_out - answers(resident, rows)).mean())
    started = time.perf_counter()
    values = view_answers(answers, views, store.rows_of(ids), count)
    seconds = time.perf_counter() - started
    if not (np.isfinite(values).all() and np.isfinite(bias)):
        raise FoldwiseError(
            "some predictions are not finite",
            where=str(model_path),
            hint="Train again with a lower lr.",
        )
    table = {"id": ids, "prediction": values.mean(axis=0) - bias, "view_std": values.std(axis=0)}
    write_parquet(Path(out) / "test.parquet", pd.DataFrame(table))
    kept = {"id": validation, "prediction": held_out - bias, "held_out": True}
    write_parquet(Path(out) / "held_out.parquet", pd.DataFrame(kept))
    write_json(
        Path(out) / "test_timing.json",
        timing_record(len(ids), seconds, device, machine.threads, count),
    )
    calibration = {
        "bias": bias,
        "n_validation": len(validation),
        "holdout": holdout,
        "views": count,
        "displacement": strength.displacement,
        "strain": strength.strain,
    }
    write_json(Path(out) / "calibration.json", calibration)


def view_answers(answers: Answers, views: Views, rows: Rows, count: int) -> NDArray[np.float64]:
    """Answers for every view, in target units, shape [count, n]."""
    return np.stack([answers(views.at(TEST_EPOCH, number), rows) for number in range(count)])
