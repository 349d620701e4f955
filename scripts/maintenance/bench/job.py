"""The whole benchmark: training, inference, conversion and a whole fit."""

from __future__ import annotations

import os
import statistics
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
    Steps,
    batches_of,
    flat_conversion,
    flat_fit,
    inference,
    load_data,
    stock_conversion,
    stock_energies,
    stock_fit,
    stock_model,
)
from maintenance.bench.machine import Lane, instruction_sets, machine_rates, name_of
from maintenance.bench.rows import (
    Engine,
    Row,
    Work,
    alternate,
    markdown,
    rows_of,
    share_of_the_machine,
)
from maintenance.bench.variants import Runner, variants

TASK = "bench"
FLUSHED = "stock, denormals flushed"
IDLE = 0.95  # of a core that one thread gets


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
        f"PyTorch {torch.__version__}. {name_of(device)}{_instructions(device)}: copies "
        f"{machine['copy_bytes_per_s']:.3g} bytes/s, multiplies float32 matrices at "
        f"{machine['float32_flop_per_s']:.3g} FLOP/s. {_how_busy(rows)}"
    )
    write_text(Path(out).with_suffix(".md"), markdown(rows, caption))


def _how_busy(rows: list[Row]) -> str:
    share = share_of_the_machine(rows)
    if share > IDLE:
        return "The machine had nothing else to do."
    return (
        f"**The machine was busy: one thread got {share:.0%} of a core.** Compare CPU seconds only."
    )


def _instructions(device: torch.device) -> str:
    sets = instruction_sets() if device.type == "cpu" else []
    return f" ({', '.join(sets)})" if sets else ""


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
    """Training and inference at one batch size, of stock as shipped and with denormals flushed."""
    batches = batches_of(len(data.structures), batch_size)
    train: dict[Engine, Work] = {}
    infer: dict[Engine, Work] = {}
    steps: dict[Engine, Steps] = {}

    def enter(engine: Engine, lane: Lane, runs: Runner | None = None) -> None:
        if runs is None:
            model = stock_model(device)
            energies, parameters = stock_energies(model, data), list(model.parameters())
        else:
            energies, parameters = runs.energies, runs.parameters
        timed = runs.timed if runs else lambda work: work
        steps[engine] = Steps(energies, parameters, data.targets, batches)
        train[engine] = lane.timed(timed(steps[engine]))
        infer[engine] = lane.timed(timed(inference(energies, batches)))

    on_cpu = device.type == "cpu"
    for threads in sorted({1, plan.threads} if on_cpu else {plan.threads}):
        enter(("stock", threads), Lane(device, threads, flush=False))
        if on_cpu:
            enter((FLUSHED, threads), Lane(device, threads, flush=True))
        for variant in variants(device, compiled=plan.compiled):
            if variant.fused or threads == plan.threads:
                lane = Lane(device, threads, flush=True, fused=variant.fused)
                enter((variant.name, threads), lane, Runner(variant, data.store, data.unit))
    trained = alternate(train, plan.rounds, device)
    backward = {
        engine: statistics.median(work.backward_over_forward[1:]) for engine, work in steps.items()
    }
    inferred = alternate(infer, plan.rounds, device)
    return [
        *rows_of(
            "train", trained, device=device, batch_size=batch_size,
            backward=backward if on_cpu else None,
        ),
        *rows_of("infer", inferred, device=device, batch_size=batch_size),
    ]  # fmt: skip


def _conversions(plan: BenchPlan, data: Data) -> list[Row]:
    engines: dict[Engine, Work] = {
        ("stock", 1): stock_conversion(data),
        ("flat", 1): flat_conversion(data, 1),
        ("flat, parallel", plan.threads): flat_conversion(data, plan.threads),
    }
    cpu = torch.device("cpu")
    return rows_of("convert", alternate(engines, plan.rounds, cpu), device=cpu, batch_size=None)


def _fits(plan: BenchPlan, data: Data, device: torch.device) -> list[Row]:
    batch_size, threads = plan.batch_sizes[0], plan.threads
    ours = variants(device, compiled=False)[-1]
    engines: dict[Engine, Work] = {}
    for name, flush in (("stock", False), (FLUSHED, True)):
        if device.type == "cpu" or not flush:
            lane = Lane(device, threads, flush=flush)
            engines[name, threads] = lane.timed(stock_fit(data, plan.epochs, batch_size, device))
    lane = Lane(device, threads, flush=True, fused=ours.fused)
    engines[ours.name, threads] = lane.timed(flat_fit(data, plan.epochs, batch_size, device))
    return rows_of("fit", alternate(engines, 1, device), device=device, batch_size=batch_size)
