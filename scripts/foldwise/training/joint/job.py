"""A joint pretraining: from the files of several tasks to a backbone for one of them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet, write_json, write_parquet
from foldwise.common.progress import ProgressLog
from foldwise.graphs.batch import BatchSource, open_batches
from foldwise.graphs.store import GraphStore, join_stores
from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.network.memory import PartBudget
from foldwise.network.output import network_output
from foldwise.network.transform import compositions, fit_transform
from foldwise.study.recipe import Recipe
from foldwise.tasks.splits import FoldSplit
from foldwise.training.files import target_by_id
from foldwise.training.joint.network import MultiTaskNetwork, TaskScale, joint_targets, masked_loss
from foldwise.training.joint.rows import JointRows, joint_rows
from foldwise.training.optimisation import MovingAverage, learning_rate


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
class _Joint:
    """All tasks in memory.

    Attributes:
        rows: Positions in the joined store, int64, [n].
        labels: Intensive labels, NaN where absent, [n, n_tasks].
    """

    store: GraphStore
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

    Writes `backbone.safetensors`, `pretrain.json` and `pretrain_rows.parquet` (the rows fitted:
    task and id of each graph, and its labels). No test row of any task is among them.

    Args:
        tasks: The tasks, the one that the backbone is for first.
        groups_path: Which rows are the same crystal.
        recipe: How to train; its `pretrain` says for how long.
        seed: Decides random weights and batch order.
        holdout: Hold-out of the first task, which is not fitted either.
        machine: What it computes on; the joint training itself is not compiled.
        out: Folder of the files.

    Raises:
        FoldwiseError: An input is missing or broken, a task has no row left, or the loss is no
            longer finite.
    """
    started = time.perf_counter()
    if recipe.pretrain is None:
        raise FoldwiseError("the recipe has no pretrain", where="--recipe", hint="Add it.")
    device = set_up_engine(machine)
    stores = [GraphStore.open(task.graphs) for task in tasks]
    selected = _selected(tasks, stores, groups_path, holdout)
    joint = _joined(tasks, stores, selected.table)
    torch.manual_seed(seed)
    backbone = new_network(recipe.model, recipe.init).to(device)
    resident, composition = open_batches(joint.store, device), compositions(joint.store)
    before = network_output(backbone, resident, joint.rows)
    of_rows = composition[joint.rows]
    scales = [
        _scale(task.transform, of_rows, joint.labels[:, column], before)
        for column, task in enumerate(tasks)
    ]
    fresh = [at for at, scale in enumerate(scales) if scale.transform.name != "element_reference"]
    network = MultiTaskNetwork(backbone, len(tasks), fresh).to(device)
    targets = joint_targets(joint.labels, of_rows, scales)
    spread = np.array([scale.spread for scale in scales])
    log = ProgressLog(sys.stderr, recipe.pretrain.epochs * _steps(joint.rows, recipe))
    log.line(f"{len(tasks)} tasks together, {len(joint.rows)} structures, {device}")
    history = _fit(
        network, resident, joint.rows, (targets, spread), recipe=recipe, seed=seed, log=log
    )
    save_model(
        out / "backbone.safetensors", TrainedModel(recipe.model, backbone, scales[0].transform)
    )
    write_parquet(out / "pretrain_rows.parquet", selected.table)
    record = {
        "tasks": {
            task.name: int(np.isfinite(joint.labels[:, at]).sum()) for at, task in enumerate(tasks)
        },
        "epochs": recipe.pretrain.epochs,
        "passes": len(joint.rows) * len(history),
        "seed": seed,
        "holdout": holdout,
        **selected.counts,
        "spread": {task.name: scale.spread for task, scale in zip(tasks, scales, strict=True)},
        "train_loss": history,
        "device": device.type,
        "threads": machine.threads,
        "wall_time_sec": time.perf_counter() - started,
        "cpu_time_sec": time.process_time(),
    }
    write_json(out / "pretrain.json", record)


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
    return rows


def _joined(
    tasks: Sequence[TaskFiles], stores: Sequence[GraphStore], table: pd.DataFrame
) -> _Joint:
    first = np.cumsum([0, *(len(store) for store in stores)])
    rows = np.empty(len(table), dtype=np.int64)
    for at, (task, store) in enumerate(zip(tasks, stores, strict=True)):
        own = (table["task"] == task.name).to_numpy()
        rows[own] = first[at] + store.rows_of(table.loc[own, "id"].tolist())
    store = reduce(join_stores, stores)
    labels = table[[task.name for task in tasks]].to_numpy(dtype=np.float64)
    n_atoms = np.diff(store.offsets[:, 0])[rows]
    for at, task in enumerate(tasks):
        if not task.intensive:
            labels[:, at] /= n_atoms
    return _Joint(store, rows, labels)


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


def _steps(rows: NDArray[np.int64], recipe: Recipe) -> int:
    return math.ceil(len(rows) / recipe.batch_size)


def _fit(
    network: MultiTaskNetwork,
    source: BatchSource,
    rows: NDArray[np.int64],
    targets: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    recipe: Recipe,
    seed: int,
    log: ProgressLog,
) -> list[float]:
    """Train in place; the network ends with its averaged weights. Returns each epoch's loss."""
    device = source.device
    values, spread = (torch.from_numpy(part).float().to(device) for part in targets)
    places = torch.from_numpy(rows).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, foreach=True
    )
    average, budget = MovingAverage(network, recipe.ema_decay), PartBudget(log.line)
    epochs = recipe.pretrain.epochs if recipe.pretrain else 0
    total, step, history = epochs * _steps(rows, recipe), 0, []

    def accumulate(picked: Tensor, parts: list[slice]) -> float:
        optimiser.zero_grad()
        loss_sum = 0.0
        for part in (picked[at] for at in parts):
            output = network(source.batch(places[part]))
            loss = masked_loss(output, values[part], spread, recipe) * (len(part) / len(picked))
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += float(loss.detach())
        return loss_sum

    network.train()
    for epoch in range(epochs):
        order = np.random.default_rng([seed, 3, epoch]).permutation(len(rows))
        losses = []
        for start in range(0, len(order), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, total, recipe)
            picked = torch.from_numpy(chosen).to(device)
            loss = budget.run(source.sizes[rows[chosen]], partial(accumulate, picked))
            norm = nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            if not (math.isfinite(loss) and math.isfinite(float(norm))):
                raise FoldwiseError(
                    f"loss {loss} at step {step + 1}", where="pretraining", hint="Lower lr."
                )
            optimiser.step()
            average.update(network)
            step += 1
            losses.append(loss)
            log.step(step, f"epoch {epoch + 1}  loss {loss:.5f}")
        history.append(float(np.mean(losses)))
    average.into(network)
    return history
