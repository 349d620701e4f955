"""One training job: from the files of a fold to the checkpoint and its records."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from foldwise.augmentation import make_augmentation
from foldwise.batch import open_batches
from foldwise.checkpoint import TrainedModel, load_model, new_network, save_model
from foldwise.chgnet import FlatCHGNet
from foldwise.devices import set_up_device
from foldwise.errors import FoldwiseError
from foldwise.files import file_sha256, flatten, read_json, read_parquet, write_csv, write_json
from foldwise.fit import Problem, fit, steps_per_epoch
from foldwise.fit_record import compute, outcome
from foldwise.predict import network_output
from foldwise.progress import ProgressLog
from foldwise.recipe import Recipe
from foldwise.reference import compositions, fit_transform
from foldwise.resume import work_fingerprint
from foldwise.samples import make_samples
from foldwise.soft import SoftTargets, read_soft_targets
from foldwise.splits import FoldSplit
from foldwise.store import GraphStore, join_stores

_FRESH_HEAD = "readout.6.weight"


@dataclass(frozen=True)
class TrainingFiles:
    """Inputs and outputs of one training job.

    Attributes:
        targets: targets.parquet of the task.
        graphs: Its graph store.
        split: Split file of the fold.
        soft_targets: Soft targets of a student.
        copies: Graph store of the perturbed copies, where the soft targets are about them.
        out: Folder of the checkpoint.
        backbone: Checkpoint of the joint pretraining, where the recipe has one.
        pretraining: Record of that pretraining.
    """

    targets: Path
    graphs: Path
    split: Path
    soft_targets: Path | None
    copies: Path | None
    out: Path
    backbone: Path | None = None
    pretraining: Path | None = None


def train(
    files: TrainingFiles,
    *,
    recipe_name: str,
    recipe: Recipe,
    seed: int,
    holdout: int,
    transform_name: str,
    device_name: str,
    threads: int,
) -> None:
    """Train one model and write model.safetensors, fit.json and history.csv to `files.out`.

    Args:
        files: Where everything is.
        recipe_name: Name of the recipe, for the record.
        recipe: How to train.
        seed: Decides random weights, batch order, bootstrap.
        holdout: The hold-out of the split that validates; the other training rows are fitted.
        transform_name: One of `foldwise.reference.TRANSFORMS`.
        device_name: `auto`, `cpu` or `cuda`.
        threads: CPU threads.

    Raises:
        FoldwiseError: An input is missing or broken, or the loss is no longer finite.
    """
    started = time.perf_counter()
    device = set_up_device(device_name, threads)
    split = FoldSplit.read(files.split)
    store = GraphStore.open(files.graphs)
    soft = _soft_targets(files.soft_targets, recipe)
    targets = target_by_id(files.targets)
    known = set(store.ids)
    fit_ids, validation_ids = (
        [crystal for crystal in part if crystal in known]
        for part in split.fit_and_validation(holdout)
    )
    _check_rows(files, fit_ids, validation_ids, targets)
    if files.copies is not None:
        store = join_stores(store, GraphStore.open(files.copies))
    samples = make_samples(
        store, targets=targets, fit_ids=fit_ids, soft=soft, recipe=recipe, seed=seed
    )
    pretraining = _pretraining(files, recipe)
    torch.manual_seed(seed)
    network = _initial_network(files.backbone, recipe, transform_name).to(device)
    resident = open_batches(store, device)
    composition = compositions(store)
    transform = fit_transform(
        transform_name,
        composition[samples.rows[samples.labelled]],
        samples.hard[samples.labelled],
        network_output(network, resident, samples.rows[samples.labelled]),
    )
    problem = Problem(
        store=resident,
        ids=store.ids,
        composition=composition,
        samples=samples,
        validation_rows=store.rows_of(validation_ids),
        validation_targets=np.array([targets[crystal] for crystal in validation_ids]),
        transform=transform,
        recipe=recipe,
        seed=seed,
        augmentation=make_augmentation(
            recipe, resident, store.ids, rows=samples.rows, scale=transform.scale, seed=seed
        ),
    )
    fingerprint = work_fingerprint(
        recipe=recipe,
        seed=seed,
        fit_ids=fit_ids,
        validation_ids=validation_ids,
        hard=[targets[crystal] for crystal in (*fit_ids, *validation_ids)],
        soft=_soft_facts(soft),
        graphs=file_sha256(files.graphs / "meta.json"),
        transform=transform_name,
        backbone=file_sha256(files.backbone) if files.backbone else None,
        device=str(device),
        threads=threads,
    )
    state_path = files.out / ".resume" / "state.pt"
    total = steps_per_epoch(samples, recipe) * recipe.epochs
    log = ProgressLog(sys.stderr, total, name=f"{recipe_name} fold {split.fold} seed {seed}")
    log.line(
        f"{recipe_name} {split.task} fold {split.fold} seed {seed}: {len(fit_ids)} crystals to "
        f"fit, {samples.n_soft} soft targets, {len(validation_ids)} to validate, batches of "
        f"{recipe.batch_size}, {device}, {threads} thread(s)"
    )
    result = fit(network, problem, state_path, fingerprint, log)
    record = {
        "recipe": recipe_name,
        "task": split.task,
        "fold": split.fold,
        "seed": seed,
        "holdout": holdout,
        **outcome(result, recipe),
        "n_train": len(fit_ids),
        "n_validation": len(validation_ids),
        "n_soft_targets": samples.n_soft,
        "target_transform": {
            "name": transform_name,
            "train_mean": problem.transform.train_mean,
            "train_std": problem.transform.train_std,
        },
        "num_params": sum(parameter.numel() for parameter in network.parameters()),
        **compute(result, device, threads, time.perf_counter() - started, pretraining),
        "hyperparams": flatten(recipe.as_dict()),
    }
    write_csv(files.out / "history.csv", pd.DataFrame(result.progress.history))
    write_json(files.out / "fit.json", record)
    model = TrainedModel(recipe.model, network, problem.transform)
    save_model(files.out / "model.safetensors", model)
    shutil.rmtree(state_path.parent)  # what a kill has left half-written included
    log.line(f"done: best validation MAE {result.progress.best_mae:.5f}")


def target_by_id(path: str | os.PathLike[str]) -> dict[str, float]:
    """Target of every crystal of a task, in the task's unit.

    Raises:
        FoldwiseError: The file is missing, truncated, or lacks a column.
    """
    table = read_parquet(path, ("id", "target"))
    return dict(zip(table["id"].astype(str), table["target"].astype(float), strict=True))


def _soft_targets(path: Path | None, recipe: Recipe) -> SoftTargets | None:
    if path is not None and recipe.teacher is not None:
        return read_soft_targets(path, recipe.teacher)
    if path is not None or recipe.teacher is not None:
        raise FoldwiseError(
            "soft targets belong to a recipe with a teacher, and to no other",
            where="--soft-targets",
            hint="Give both or neither.",
        )
    return None


def _pretraining(files: TrainingFiles, recipe: Recipe) -> dict[str, float]:
    """What the joint pretraining cost; empty without one."""
    given = {files.backbone is not None, files.pretraining is not None, recipe.pretrain is not None}
    if len(given) > 1:
        raise FoldwiseError(
            "a backbone, its record and a recipe with pretrain belong together",
            where="--backbone, --pretraining",
            hint="Give all three or none.",
        )
    record = read_json(files.pretraining) if files.pretraining else {}
    return {key: float(record[key]) for key in ("wall_time_sec", "cpu_time_sec") if key in record}


def _initial_network(backbone: Path | None, recipe: Recipe, transform_name: str) -> FlatCHGNet:
    if backbone is None:
        network = new_network(recipe.model, recipe.init)
        if transform_name == "standardize":
            _reset_head(network)
        return network
    model = load_model(backbone)
    if model.model_name != recipe.model:
        raise FoldwiseError(
            f"its network is a {model.model_name}, the recipe's a {recipe.model}",
            where=str(backbone),
            hint="Pretrain again.",
        )
    return model.network


def _check_rows(
    files: TrainingFiles, fit_ids: list[str], validation_ids: list[str], targets: dict[str, float]
) -> None:
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


def _reset_head(network: torch.nn.Module) -> None:
    """Start a standardised target from zero output: the pretrained head speaks of energies."""
    state = network.state_dict()
    state[_FRESH_HEAD].zero_()
    state[_FRESH_HEAD.replace("weight", "bias")].zero_()


def _soft_facts(soft: SoftTargets | None) -> dict[str, Any] | None:
    if soft is None:
        return None
    return {"ids": soft.ids, "values": soft.values.tolist(), "weights": soft.weights.tolist()}
