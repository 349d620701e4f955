"""One prediction job: a checkpoint's answers for the subsets of a fold, and their timing."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json, write_parquet
from foldwise.common.progress import ProgressLog
from foldwise.crystals.names import copied_crystal
from foldwise.graphs.sources import open_batches
from foldwise.graphs.store import GraphStore
from foldwise.network.acceleration import accelerate
from foldwise.network.checkpoint import load_model
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.network.output import predict
from foldwise.network.transform import compositions
from foldwise.prediction.files import PredictionFiles
from foldwise.tasks.splits import FoldSplit


def subset_ids(split: FoldSplit, subset: str, store: GraphStore) -> list[str]:
    """Ids of a subset that have a graph, in the split's order.

    `train` is every training row of the fold, hold-outs included; `copies` are the copies
    of these rows.

    Raises:
        FoldwiseError: No row is left.
    """
    if subset == "copies":
        training = set(split.train)
        ids = [name for name in store.ids if copied_crystal(name) in training]
    else:
        known = set(store.ids)
        ids = [crystal for crystal in getattr(split, subset) if crystal in known]
    if not ids:
        raise FoldwiseError(
            f"no row of subset {subset!r} has a graph",
            where=f"fold {split.fold} of {split.task}",
            hint="Make graphs and splits from the same dataset.",
        )
    return ids


def predict_subsets(files: PredictionFiles, *, machine: Machine, out: Path) -> None:
    """Write `{subset}.parquet` with id and prediction (target units) for each subset.

    `train.parquet` also says which rows the model held out. Beside `test.parquet` stands
    `test_timing.json`, the speed of a second pass without loading and warm-up.

    Args:
        files: What is read, and the subsets.
        machine: What it computes on.
        out: Folder of the files.

    Raises:
        FoldwiseError: An input is missing or broken, or a prediction is not finite.
    """
    device = set_up_engine(machine)
    model = load_model(files.model)
    network = model.network.to(device)
    split = FoldSplit.read(files.split)
    store = GraphStore.open(files.graphs)
    resident, composition = open_batches(store, device), compositions(store)
    parts = {subset: subset_ids(split, subset, store) for subset in files.subsets}
    accelerate(network, store, machine.engine, passes=sum(map(len, parts.values())))
    for subset, ids in parts.items():
        rows = store.rows_of(ids)
        log = ProgressLog(sys.stderr, len(rows), name=f"fold {split.fold} {subset}")
        log.line(f"{files.model}: {len(rows)} structures of {subset}, {device}")
        values = predict(network, model.transform, resident, composition, rows, log=log)
        if not np.isfinite(values).all():
            raise FoldwiseError(
                f"{int((~np.isfinite(values)).sum())} prediction(s) are not finite",
                where=str(files.model),
                hint="Train again with a lower lr.",
            )
        table = pd.DataFrame({"id": ids, "prediction": values})
        if subset == "train":
            _, validation = split.fit_and_validation(files.holdout)
            table["held_out"] = table["id"].isin(set(validation))
        if subset == "test":
            started = time.perf_counter()
            predict(network, model.transform, resident, composition, rows)
            timing = timing_record(len(ids), time.perf_counter() - started, device, machine.threads)
            write_json(out / "test_timing.json", timing)
        write_parquet(out / f"{subset}.parquet", table)


def timing_record(
    structures: int, seconds: float, device: torch.device, threads: int, views: int = 1
) -> dict[str, Any]:
    """Content of `test_timing.json`: `structures` were answered, each from `views` passes."""
    return {
        "structures": structures,
        "seconds": seconds,
        "structures_per_s": structures / seconds,
        "device": device.type,
        "threads": threads,
        "views": views,
    }
