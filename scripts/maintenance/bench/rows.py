"""Alternating measurements, and the rows and table that they become."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import torch

from foldwise.common.files import finite_or_none

Work = Callable[[], int]  # does the work once and returns the number of structures
Engine = tuple[str, int]  # its name and its CPU threads or processes


@dataclass(frozen=True)
class Row:
    """One measured speed.

    Attributes:
        work: `train`, `infer`, `convert` or `fit`.
        engine: `stock`, or what stands against it.
        device: `cpu` or `cuda`.
        threads: CPU threads or processes.
        batch_size: Structures per step; `None` for conversion.
        structures_per_s: Median over the rounds.
        peak_bytes: Device memory at its highest, beyond what is kept between rounds (graphs and
            weights of all engines); `None` on a CPU, where it cannot be told apart.
        structures_per_cpu_s: The same for CPU seconds, which other work hardly changes.
        ratio_to_stock: Median over rounds of this engine's speed over stock's in the same round,
            with as many threads.
        cpu_ratio_to_stock: The same for CPU seconds.
        backward_over_forward: CPU time of a training's backward passes over that of its forward
            passes, median over the rounds; `None` for other work and on a GPU.
    """

    work: str
    engine: str
    device: str
    threads: int
    batch_size: int | None
    structures_per_s: float
    structures_per_cpu_s: float
    peak_bytes: int | None
    ratio_to_stock: float | None
    cpu_ratio_to_stock: float | None
    backward_over_forward: float | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass
class Measured:
    """What an engine has shown, one entry per round.

    Attributes:
        per_s: Structures per second.
        per_cpu_s: Structures per CPU second of this process and its children.
        peak: Device memory at its highest.
    """

    per_s: list[float] = field(default_factory=list)
    per_cpu_s: list[float] = field(default_factory=list)
    peak: int | None = None


def alternate(
    works: Mapping[Engine, Work], rounds: int, device: torch.device
) -> dict[Engine, Measured]:
    """Every round runs all engines one after the other; a first one warms up and is not counted."""
    measured = {engine: Measured() for engine in works}
    for number in range(rounds + 1):
        for engine, work in works.items():
            one, kept = measured[engine], 0
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
                kept = torch.cuda.memory_allocated(device)
            started, cpu = time.perf_counter(), sum(os.times()[:4])
            done = work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                # Recorded graphs allocate in the first round alone.
                one.peak = max(torch.cuda.max_memory_allocated(device) - kept, one.peak or 0)
            if number:
                one.per_s.append(done / (time.perf_counter() - started))
                # The clock of CPU time ticks a hundred times a second.
                one.per_cpu_s.append(done / max(sum(os.times()[:4]) - cpu, 0.01))
    return measured


def rows_of(
    work: str,
    measured: Mapping[Engine, Measured],
    *,
    device: torch.device,
    batch_size: int | None,
    backward: Mapping[Engine, float] | None = None,
) -> list[Row]:
    """Rows of one kind of work; `stock` must be among the engines, at least with one thread."""
    rows = []
    for (engine, threads), own in measured.items():
        stock = measured.get(("stock", threads)) or measured["stock", 1]
        rows.append(
            Row(
                work=work,
                engine=engine,
                device=device.type,
                threads=threads,
                batch_size=batch_size,
                structures_per_s=statistics.median(own.per_s),
                structures_per_cpu_s=statistics.median(own.per_cpu_s),
                peak_bytes=own.peak,
                ratio_to_stock=_ratio(own.per_s, stock.per_s),
                cpu_ratio_to_stock=_ratio(own.per_cpu_s, stock.per_cpu_s),
                backward_over_forward=(backward or {}).get((engine, threads)),
            )
        )
    return rows


def _ratio(ours: list[float], theirs: list[float]) -> float | None:
    """Median of the ratios within a round."""
    return finite_or_none(
        statistics.median(own / other for own, other in zip(ours, theirs, strict=True))
    )


def share_of_the_machine(rows: list[Row]) -> float:
    """CPU time over wall time of what runs in one thread: 1 on an idle machine."""
    alone = [row for row in rows if row.threads == 1]
    return min(1.0, statistics.median(r.structures_per_s / r.structures_per_cpu_s for r in alone))


def markdown(rows: list[Row], caption: str) -> str:
    """The rows as a Markdown table under a sentence that says how they were measured."""

    def shown(value: float | None, unit: str = "") -> str:
        return "" if value is None else f"{value:.2f}{unit}"

    lines = [
        caption,
        "",
        "| work | batch | engine | device | threads | structures/s | × stock "
        "| structures/CPU second | × stock | backward / forward | peak memory |",
        "|" + "---|" * 11,
    ]
    lines += [
        f"| {row.work} | {row.batch_size or ''} | {row.engine} | {row.device} | {row.threads} "
        f"| {row.structures_per_s:,.0f} | {shown(row.ratio_to_stock)} "
        f"| {row.structures_per_cpu_s:,.0f} | {shown(row.cpu_ratio_to_stock)} "
        f"| {shown(row.backward_over_forward)} "
        f"| {shown(None if row.peak_bytes is None else row.peak_bytes / 2**30, ' GiB')} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
