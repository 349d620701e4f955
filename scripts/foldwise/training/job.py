"""One training job: from the files of a fold to the checkpoint and its records."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, flatten, write_csv, write_json
from foldwise.common.lease import Lease
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import SkinSource, open_batches
from foldwise.graphs.store import GraphStore, join_stores, store_sha256
from foldwise.network.acceleration import accelerate, engine_of
from foldwise.network.checkpoint import TrainedModel, load_model, new_network, save_model
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.engine import precision_of, set_up_engine
from foldwise.network.machine import Machine
from foldwise.network.output import network_output
from foldwise.network.transform import compositions, fit_transform
from foldwise.prediction.ahead import leave, predicting_code
from foldwise.prediction.files import PredictionFiles
from foldwise.study.recipe import Recipe
from foldwise.tasks.splits import FoldSplit
from foldwise.training.augmentation import make_augmentation
from foldwise.training.files import (
    SeedJob,
    TrainingFiles,
    check_rows,
    pretraining_cost,
    soft_targets_of,
    target_by_id,
)
from foldwise.training.fit import FitResult, Training, compute, fit, outcome
from foldwise.training.resume import Clock, work_fingerprint
from foldwise.training.samples import make_samples
from foldwise.training.soft_targets import SoftTargets
from foldwise.training.stopping import stop_requests
from foldwise.training.trainer import Problem, steps_per_epoch

_FRESH_HEAD = "readout.6.weight"


@dataclass(frozen=True)
class TrainingJob:
    """How the model of a job is trained.

    Attributes:
        recipe_name: Name of the recipe, for the record.
        recipe: How to train.
        transform: One of `foldwise.network.transform.TRANSFORMS`.
        machine: What it computes on.
        extensive: Whether the target is a sum over the atoms of the cell.
        subsets: Subsets of the fold that are predicted for the job that follows, on a CPU.
    """

    recipe_name: str
    recipe: Recipe
    transform: str
    machine: Machine
    extensive: bool = False
    subsets: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenFold:
    """What all models of a fold share, opened."""

    files: TrainingFiles
    split: FoldSplit
    targets: dict[str, float]
    soft: SoftTargets | None
    store: GraphStore
    known: set[str]
    batches: SkinSource
    composition: NDArray[np.float64]

    def parts(self, holdout: int) -> tuple[list[str], list[str]]:
        """Ids to fit and to validate, of crystals that have a graph."""
        fitted, validated = self.split.fit_and_validation(holdout)
        return (
            [crystal for crystal in fitted if crystal in self.known],
            [crystal for crystal in validated if crystal in self.known],
        )


def train(files: TrainingFiles, job: TrainingJob, seed: SeedJob) -> None:
    """Train a model and write its model.safetensors, fit.json and history.csv.

    Raises:
        FoldwiseError: An input is missing or broken, or the loss is no longer finite.
    """
    clock = Clock()
    predicting_code()  # now: an edit during the training must make what it leaves stale
    device = set_up_engine(job.machine)
    fold = open_fold(files, job.recipe, device)
    training = prepare(fold, job, seed, device)
    accelerate(
        training.network,
        fold.store,
        job.machine.engine,
        passes=len(training.problem.samples.rows) * training.problem.recipe.epochs,
        several_views=job.recipe.augment is not None,
    )
    with stop_requests() as stop:
        result = fit(training, clock, stop)
    spent = clock.read()
    if training.lease is not None:
        training.lease.yield_to_holder(training.outputs, training.log.line)
    cost = compute(
        result,
        device,
        threads=job.machine.threads,
        engine=engine_of(training.network),
        precision=precision_of(training.network, job.machine),
        seconds=spent["wall"],
        cpu_seconds=spent["cpu"],
        pretraining=pretraining_cost(seed, job.recipe),
    )
    write_json(seed.out / "fit.json", _record(fold, job, seed, training, result) | cost)
    write_csv(seed.out / "history.csv", pd.DataFrame(result.progress.history))
    model = TrainedModel(job.recipe.model, training.network, training.problem.transform)
    save_model(seed.out / "model.safetensors", model)
    if job.subsets and device.type == "cpu":
        _predict_ahead(files, job, seed)
    shutil.rmtree(seed.out / ".resume")  # what a kill has left half-written included
    best = result.progress.history[result.progress.best_epoch - 1]
    training.log.line(f"done: best validation MAE {best['val_mae']:.5f}")


def _predict_ahead(files: TrainingFiles, job: TrainingJob, seed: SeedJob) -> None:
    asked = PredictionFiles(
        seed.out / "model.safetensors", files.graphs, files.split, job.subsets, seed.holdout
    )
    with suppress(FoldwiseError):  # the prediction job finds the same mistake and reports it
        leave(asked, job.machine)


def open_fold(files: TrainingFiles, recipe: Recipe, device: torch.device) -> OpenFold:
    """Open what all models of a fold share.

    Raises:
        FoldwiseError: A file is missing or broken.
    """
    store = GraphStore.open(files.graphs)
    known = set(store.ids)
    soft = soft_targets_of(files.soft_targets, recipe)
    split, targets = FoldSplit.read(files.split), target_by_id(files.targets)
    if files.copies is not None:
        store = join_stores(store, GraphStore.open(files.copies))
    batches, composition = open_batches(store, device), compositions(store)
    return OpenFold(files, split, targets, soft, store, known, batches, composition)


def prepare(fold: OpenFold, job: TrainingJob, seed: SeedJob, device: torch.device) -> Training:
    """Network, samples and transform of one seed.

    Raises:
        FoldwiseError: There is nothing to fit or to validate, a target is missing, or recipe and
            target do not go together.
    """
    targets, store = fold.targets, fold.store
    fit_ids, validation_ids = fold.parts(seed.holdout)
    check_rows(fold.files, fit_ids, validation_ids, targets)
    recipe = job.recipe.bounded(len(fit_ids))
    samples = make_samples(
        store, targets=targets, fit_ids=fit_ids, soft=fold.soft, recipe=recipe, seed=seed.seed
    )
    pretraining_cost(seed, recipe)  # what is missing must stop before the training, not after it
    torch.manual_seed(seed.seed)
    network = _initial_network(seed.backbone, recipe).to(device)
    labelled = samples.rows[samples.labelled]
    transform = fit_transform(
        job.transform,
        fold.composition[labelled],
        samples.hard[samples.labelled],
        network_output(network, fold.batches, labelled),
        fold.batches.atoms[labelled] if job.extensive else None,
    )
    if seed.backbone is None and transform.name != "element_reference":
        _reset_head(network)
    if recipe.loss == "logistic" and transform.link != "logit":
        raise FoldwiseError(
            f"its targets are no classes (transform: {transform.name})",
            where=f"recipes.{job.recipe_name}.loss",
            hint="Set it to huber, l1 or mse.",
        )
    if transform.link == "logit":
        if seed.backbone is not None:
            raise FoldwiseError(
                "a joint pretraining has no head for a class",
                where="transform",
                hint="Take pretrain out of the recipe, or set transform: standardize.",
            )
        recipe = replace(recipe, loss="logistic")
    problem = Problem(
        store=fold.batches,
        ids=store.ids,
        composition=fold.composition,
        samples=samples,
        validation_rows=store.rows_of(validation_ids),
        validation_targets=np.array([targets[crystal] for crystal in validation_ids]),
        transform=transform,
        recipe=recipe,
        seed=seed.seed,
        augmentation=make_augmentation(
            recipe,
            fold.batches,
            store.ids,
            rows=samples.rows,
            scale=transform.scale,
            seed=seed.seed,
        ),
    )
    fingerprint = work_fingerprint(
        "jobs/train_model.py",
        recipe=recipe,
        seed=seed.seed,
        fit_ids=fit_ids,
        validation_ids=validation_ids,
        hard=[targets[crystal] for crystal in (*fit_ids, *validation_ids)],
        soft=_soft_facts(fold.soft),
        graphs=store_sha256(fold.files.graphs),
        copies=store_sha256(fold.files.copies) if fold.files.copies else None,
        transform=transform.name,
        extensive=job.extensive,
        backbone=file_sha256(seed.backbone) if seed.backbone else None,
        device=str(device),
        engine=job.machine.engine,
    )
    name = f"{job.recipe_name} fold {fold.split.fold} seed {seed.seed}"
    log = ProgressLog(sys.stderr, steps_per_epoch(samples, recipe) * recipe.epochs, name=name)
    log.line(
        f"{job.recipe_name} {fold.split.task} fold {fold.split.fold} seed {seed.seed}: "
        f"{len(fit_ids)} crystals to fit, {samples.n_soft} soft targets, {len(validation_ids)} to "
        f"validate, effective batch size {recipe.batch_size}, {device}, {job.machine.threads} "
        "thread(s)"
    )
    state = seed.out / ".resume"
    return Training(
        network,
        problem,
        state / "state.pt",
        fingerprint,
        log,
        lease=Lease(state / "lease"),
        outputs=tuple(seed.out / name for name in ("fit.json", "history.csv", "model.safetensors")),
    )


def _record(
    fold: OpenFold, job: TrainingJob, seed: SeedJob, training: Training, result: FitResult
) -> dict[str, Any]:
    """fit.json but for the cost."""
    samples, transform = training.problem.samples, training.problem.transform
    return {
        "recipe": job.recipe_name,
        "task": fold.split.task,
        "fold": fold.split.fold,
        "seed": seed.seed,
        "holdout": seed.holdout,
        **outcome(result, training.problem.recipe),
        "n_train": len(fold.parts(seed.holdout)[0]),
        "n_validation": len(training.problem.validation_rows),
        "n_soft_targets": samples.n_soft,
        "target_transform": {
            "name": transform.name,
            "train_mean": transform.train_mean,
            "train_std": transform.train_std,
            **({"reason": transform.reason} if transform.reason else {}),
        },
        "num_params": sum(parameter.numel() for parameter in training.network.parameters()),
        "hyperparams": flatten({**job.recipe.as_dict(), "loss": training.problem.recipe.loss}),
    }


def _initial_network(backbone: Path | None, recipe: Recipe) -> FlatCHGNet:
    if backbone is None:
        return new_network(recipe.model, recipe.init)
    model = load_model(backbone)
    if model.model_name != recipe.model:
        raise FoldwiseError(
            f"its network is a {model.model_name}, the recipe's a {recipe.model}",
            where=str(backbone),
            hint="Pretrain again.",
        )
    return model.network


def _reset_head(network: torch.nn.Module) -> None:
    """Start a scaled target from zero output: the pretrained head speaks of energies."""
    state = network.state_dict()
    state[_FRESH_HEAD].zero_()
    state[_FRESH_HEAD.replace("weight", "bias")].zero_()


def _soft_facts(soft: SoftTargets | None) -> dict[str, Any] | None:
    if soft is None:
        return None
    return {"ids": soft.ids, "values": soft.values.tolist(), "weights": soft.weights.tolist()}
