"""A joint pretraining: from the files of several tasks to a backbone for one of them."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet, write_csv, write_json, write_parquet
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import open_batches
from foldwise.graphs.store import GraphStore, join_stores, store_sha256
from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.network.output import network_output
from foldwise.network.transform import compositions, fit_transform
from foldwise.study.recipe import Recipe
from foldwise.tasks.splits import FoldSplit
from foldwise.training.files import target_by_id
from foldwise.training.joint.fit import JointPart, JointProblem, fit_jointly
from foldwise.training.joint.network import MultiTaskNetwork, TaskScale, joint_targets
from foldwise.training.joint.rows import JointRows, joint_rows
from foldwise.training.resume import Clock, work_fingerprint

STATE = ".resume/pretraining.pt"


@dataclass(frozen=True)
class TaskFiles:
    """Inputs of one task.

    Attributes:
        name: The task.
        targets: Its targets.parquet.
        graphs: Its graph store.
        split: Its split file of the fold.
        transform: One of `foldwise.network.transform.TRANSFORMS`.
        intensive: Whether the target is one per atom or cell, or grows with the number of atoms.
    """

    name: str
    targets: Path
    graphs: Path
    split: Path
    transform: str
    intensive: bool


@dataclass(frozen=True)
class _Labelled:
    """Rows of the joined store with the labels of all tasks.

    Attributes:
        rows: Positions, int64, [n].
        labels: Intensive labels, NaN where absent, [n, n_tasks].
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.float64]


def pretrain(
    tasks: Sequence[TaskFiles],
    groups_path: Path,
    *,
    recipe: Recipe,
    seed: int,
    holdout: int,
    machine: Machine,
    out: Path,
) -> None:
    """Train all tasks together, and write the network with the first task's head.

    Writes `backbone.safetensors`, `pretrain.json`, `pretrain_history.csv` (an epoch a row) and
    `pretrain_rows.parquet` (the rows fitted: task and id of each graph, and its labels). No test
    row of any task is among them. A second call of killed work goes on after its last epoch.

    Args:
        tasks: The tasks, the one that the backbone is for first.
        groups_path: Which rows are the same crystal.
        recipe: How to train; its `pretrain` says for how long.
        seed: Decides random weights and batch order.
        holdout: Hold-out of the first task, which is not fitted either.
        machine: What it computes on; the joint training itself is not compiled.
        out: Folder of the files.

    Raises:
        FoldwiseError: An input is missing or broken, a task has no row left to fit, the first none
            to validate, or the loss is no longer finite.
    """
    clock = Clock()
    if recipe.pretrain is None:
        raise FoldwiseError("the recipe has no pretrain", where="--recipe", hint="Add it.")
    device = set_up_engine(machine)
    stores = [GraphStore.open(task.graphs) for task in tasks]
    selected = _selected(tasks, stores, groups_path, holdout)
    joint = _labelled(tasks, stores, selected.table)
    held = _labelled(tasks, stores, selected.held)
    store = reduce(join_stores, stores)
    torch.manual_seed(seed)
    backbone = new_network(recipe.model, recipe.init).to(device)
    resident, composition = open_batches(store, device), compositions(store)
    before = network_output(backbone, resident, joint.rows)
    of_rows = composition[joint.rows]
    scales = [
        _scale(task.transform, of_rows, joint.labels[:, column], before)
        for column, task in enumerate(tasks)
    ]
    fresh = [at for at, scale in enumerate(scales) if scale.transform.name != "element_reference"]
    network = MultiTaskNetwork(backbone, len(tasks), fresh).to(device)
    problem = JointProblem(
        source=resident,
        fitted=JointPart(joint.rows, joint_targets(joint.labels, of_rows, scales)),
        held=JointPart(held.rows, joint_targets(held.labels, composition[held.rows], scales)),
        tasks=[task.name for task in tasks],
        scales=scales,
        recipe=recipe,
        seed=seed,
    )
    log = ProgressLog(sys.stderr, recipe.pretrain.epochs * problem.steps_per_epoch)
    log.line(
        f"{len(tasks)} tasks together, {len(joint.rows)} structures to fit, {len(held.rows)} to "
        f"validate, effective batch size {recipe.batch_size}, {device}, {machine.threads} thread(s)"
    )
    result = fit_jointly(
        network,
        problem,
        state_path=out / STATE,
        fingerprint=_fingerprint(
            tasks, selected, recipe=recipe, seed=seed, machine=machine, device=device
        ),
        clock=clock,
        log=log,
    )
    save_model(
        out / "backbone.safetensors", TrainedModel(recipe.model, backbone, scales[0].transform)
    )
    write_parquet(out / "pretrain_rows.parquet", selected.table)
    write_csv(out / "pretrain_history.csv", pd.DataFrame(result.progress.history))
    spent = clock.read()
    record = {
        "tasks": {
            task.name: int(np.isfinite(joint.labels[:, at]).sum()) for at, task in enumerate(tasks)
        },
        "epochs": recipe.pretrain.epochs,
        "epochs_run": result.progress.epoch,
        "best_epoch": result.progress.best_epoch,
        "early_stopped": result.progress.epoch < recipe.pretrain.epochs,
        "val_mae_at_best": result.progress.best_error,
        "passes": len(joint.rows) * result.progress.epoch,
        "seed": seed,
        "holdout": holdout,
        **selected.counts,
        "structures_validated": len(held.rows),
        "spread": {task.name: scale.spread for task, scale in zip(tasks, scales, strict=True)},
        "train_loss": [epoch["train_loss"] for epoch in result.progress.history],
        "device": device.type,
        "threads": machine.threads,
        "sec_per_epoch": statistics.median(result.seconds_per_epoch),
        "resumed_from_epoch": result.resumed_from_epoch,
        "wall_time_sec": spent["wall"],
        "cpu_time_sec": spent["cpu"],
    }
    write_json(out / "pretrain.json", record)
    shutil.rmtree((out / STATE).parent)


def _fingerprint(
    tasks: Sequence[TaskFiles],
    selected: JointRows,
    *,
    recipe: Recipe,
    seed: int,
    machine: Machine,
    device: torch.device,
) -> str:
    """Identity of the work: all that decides the weights."""
    return work_fingerprint(
        "jobs/pretrain_model.py",
        recipe=recipe,
        seed=seed,
        tasks=[[task.name, task.transform, task.intensive] for task in tasks],
        graphs=[store_sha256(task.graphs) for task in tasks],
        fitted=selected.table.to_csv(index=False),
        held=selected.held.to_csv(index=False),
        device=str(device),
        engine=machine.engine,
    )


def _selected(
    tasks: Sequence[TaskFiles], stores: Sequence[GraphStore], groups_path: Path, holdout: int
) -> JointRows:
    known = {task.name: set(store.ids) for task, store in zip(tasks, stores, strict=True)}
    groups = read_parquet(groups_path, ("task", "id", "structure", "group"))
    has_graph = [
        crystal in known.get(task, ())
        for task, crystal in zip(groups["task"], groups["id"], strict=True)
    ]
    # A structure that two tasks share is represented by the first task's graph.
    order = groups["task"].map({task.name: at for at, task in enumerate(tasks)})
    groups = groups.assign(order=order, usable=has_graph).sort_values("order", kind="stable")
    rows = joint_rows(
        groups,
        {task.name: target_by_id(task.targets) for task in tasks},
        {task.name: FoldSplit.read(task.split) for task in tasks},
        task=tasks[0].name,
        holdout=holdout,
    )
    for task in tasks:
        if not rows.table[task.name].notna().any():
            raise FoldwiseError(
                "no row of this task may be fitted",
                where=f"pretraining, task {task.name}",
                hint="Leave it out of pretrain.tasks.",
            )
    if not rows.held[tasks[0].name].notna().any():
        raise FoldwiseError(
            "no row of the hold-out has a graph",
            where=f"pretraining, task {tasks[0].name}",
            hint="Make graphs and splits from the same dataset.",
        )
    return rows


def _labelled(
    tasks: Sequence[TaskFiles], stores: Sequence[GraphStore], table: pd.DataFrame
) -> _Labelled:
    first = np.cumsum([0, *(len(store) for store in stores)])
    rows = np.empty(len(table), dtype=np.int64)
    n_atoms = np.empty(len(table), dtype=np.int64)
    for at, (task, store) in enumerate(zip(tasks, stores, strict=True)):
        own = (table["task"] == task.name).to_numpy()
        places = store.rows_of(table.loc[own, "id"].tolist())
        rows[own], n_atoms[own] = first[at] + places, np.diff(store.offsets[:, 0])[places]
    labels = table[[task.name for task in tasks]].to_numpy(dtype=np.float64)
    for at, task in enumerate(tasks):
        if not task.intensive:
            labels[:, at] /= n_atoms
    return _Labelled(rows, labels)


def _scale(
    name: str,
    composition: NDArray[np.float64],
    labels: NDArray[np.float64],
    before: NDArray[np.float64],
) -> TaskScale:
    present = np.isfinite(labels)
    transform = fit_transform(name, composition[present], labels[present], before[present])
    if transform.link == "logit":
        raise FoldwiseError(
            "a joint pretraining has no head for a class",
            where="pretrain.tasks",
            hint="Leave the task out, or set its transform: standardize.",
        )
    if transform.name != "element_reference":
        return TaskScale(transform, 1.0)
    left = labels[present] - transform.offset(composition[present]) - before[present]
    return TaskScale(transform, float(left.std()) or 1.0)
