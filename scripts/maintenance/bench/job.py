"""The whole benchmark: training, inference, conversion and a whole fit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet, write_json, write_text
from foldwise.crystals.files import read_structures
from foldwise.network.devices import set_up_device
from foldwise.network.machine import Machine
from foldwise.tasks.dataset import DatasetSpec, prepare_dataset
from maintenance.bench.engines import (
    Data,
    batches_of,
    flat_conversion,
    flat_fit,
    inference,
    load_data,
    stock_conversion,
    stock_energies,
    stock_fit,
    stock_model,
    training,
)
from maintenance.bench.machine import machine_rates, name_of
from maintenance.bench.rows import Row, Work, alternate, markdown, rows_of
from maintenance.bench.variants import Runner, variants

TASK = "bench"
SIZE_CLASSES = 5


@dataclass(frozen=True)
class BenchPlan:
    """What to measure.

    Attributes:
        dataset: Matbench-format json.gz.
        target: Target column, or `None` for the only one.
        device: `cpu` or `cuda`.
        batch_sizes: Structures per step.
        structures: Drawn at random from the dataset.
        rounds: Counted rounds; every round runs all engines.
        epochs: Passes of the whole fit.
        threads: CPU threads, and processes of the parallel conversion.
        compiled: Whether to compile on a CPU too.
    """

    dataset: Path
    target: str | None
    device: str
    batch_sizes: list[int]
    structures: int
    rounds: int
    epochs: int
    threads: int
    compiled: bool


def run_bench(plan: BenchPlan, out: str | os.PathLike[str]) -> None:
    """Measure, and write the rows as JSON to `out` and as a table beside it.

    Raises:
        FoldwiseError: The dataset is unreadable or has fewer crystals than a batch.
    """
    device = set_up_device(Machine(plan.device, plan.threads))
    torch.set_flush_denormal(False)  # stock runs as shipped
    data = _read(plan, device)
    rows = _conversions(plan, data)  # first: its processes are forked
    for batch_size in plan.batch_sizes:
        rows += _steps(plan, data, device, batch_size)
    rows += _fits(plan, data, device)
    write_json(out, [row.as_dict() for row in rows])
    machine = machine_rates(device)
    caption = (
        f"{len(data.structures)} structures of {plan.dataset.name}, mean "
        f"{np.mean([len(crystal.numbers) for crystal in data.crystals]):.1f} atoms; medians of "
        f"{plan.rounds} rounds in which the engines alternate, one uncounted round before; "
        f"PyTorch {torch.__version__}. {name_of(device)}: copies {machine['copy_bytes_per_s']:.3g} "
        f"bytes/s, multiplies float32 matrices at {machine['float32_flop_per_s']:.3g} FLOP/s."
    )
    write_text(Path(out).with_suffix(".md"), markdown(rows, caption))


def _read(plan: BenchPlan, device: torch.device) -> Data:
    spec = DatasetSpec(
        task=TASK,
        source="file",
        path=str(plan.dataset),
        target=plan.target,
        unit="eV/atom",
        intensive=True,
        target_name="target",
        sha256=None,
    )
    with TemporaryDirectory() as folder:
        prepare_dataset(spec, folder)
        _, crystals = read_structures(Path(folder) / "structures.npz")
        targets = read_parquet(Path(folder) / "targets.parquet", ("target",))["target"].to_numpy()
    count = min(plan.structures, len(crystals))
    if count < max(plan.batch_sizes):
        raise FoldwiseError(
            f"{count} structures do not fill a batch of {max(plan.batch_sizes)}",
            where=str(plan.dataset),
            hint="Give more --structures, or smaller --batch-sizes.",
        )
    picked = np.random.default_rng(0).choice(len(crystals), count, replace=False)
    return load_data([crystals[row] for row in picked], targets[picked], device)


def _steps(plan: BenchPlan, data: Data, device: torch.device, batch_size: int) -> list[Row]:
    """Training and inference at one batch size."""
    batches = batches_of(len(data.structures), batch_size)
    stock = stock_model(device)
    train: dict[str, Work] = {
        "stock": training(
            stock_energies(stock, data), list(stock.parameters()), data.targets, batches
        )
    }
    infer: dict[str, Work] = {"stock": inference(stock_energies(stock, data), batches)}
    for variant in variants(device, compiled=plan.compiled):
        runner = Runner(variant, data.store, data.unit)
        steps = training(runner.energies, runner.parameters, data.targets, batches)
        train[variant.name] = runner.timed(steps)
        infer[variant.name] = runner.timed(inference(runner.energies, batches))
    threads = dict.fromkeys(train, plan.threads)
    return [
        row
        for work, engines in (("train", train), ("infer", infer))
        for row in rows_of(
            work,
            alternate(engines, plan.rounds, device),
            device=device,
            threads=threads,
            batch_size=batch_size,
        )
    ]


def _conversions(plan: BenchPlan, data: Data) -> list[Row]:
    engines = {
        "stock": stock_conversion(data),
        "flat": flat_conversion(data, 1),
        "flat, parallel": flat_conversion(data, plan.threads),
    }
    measured = alternate(engines, plan.rounds, torch.device("cpu"))
    threads = {"stock": 1, "flat": 1, "flat, parallel": plan.threads}
    return rows_of(
        "convert", measured, device=torch.device("cpu"), threads=threads, batch_size=None
    )


def _fits(plan: BenchPlan, data: Data, device: torch.device) -> list[Row]:
    batch_size = plan.batch_sizes[0]
    engines = {
        "stock": stock_fit(data, plan.epochs, batch_size, device),
        variants(device, compiled=False)[-1].name: flat_fit(data, plan.epochs, batch_size, device),
    }
    measured = alternate(engines, 1, device)
    threads = dict.fromkeys(engines, plan.threads)
    return rows_of("fit", measured, device=device, threads=threads, batch_size=batch_size)
