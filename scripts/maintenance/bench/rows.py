"""Alternating measurements, and the rows and table that they become."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch

from foldwise.common.files import finite_or_none

Work = Callable[[], int]  # does the work once and returns the number of structures


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
        ratio_to_stock: Median over rounds of this engine's speed over stock's in the same round.
    """

    work: str
    engine: str
    device: str
    threads: int
    batch_size: int | None
    structures_per_s: float
    peak_bytes: int | None
    ratio_to_stock: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def alternate(
    works: Mapping[str, Work], rounds: int, device: torch.device
) -> dict[str, tuple[list[float], int | None]]:
    """Speeds of every engine, structures/s, one per round, and its peak device memory.

    Every round runs all engines one after the other; a first round warms up and is not counted.
    """
    speeds: dict[str, list[float]] = {name: [] for name in works}
    peaks: dict[str, int | None] = dict.fromkeys(works)
    for number in range(rounds + 1):
        for name, work in works.items():
            kept = 0
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
                kept = torch.cuda.memory_allocated(device)
            started = time.perf_counter()
            done = work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                # Recorded graphs allocate in the first round alone.
                needed = torch.cuda.max_memory_allocated(device) - kept
                peaks[name] = max(needed, peaks[name] or 0)
            if number:
                speeds[name].append(done / (time.perf_counter() - started))
    return {name: (speeds[name], peaks[name]) for name in works}


def rows_of(
    work: str,
    measured: Mapping[str, tuple[list[float], int | None]],
    *,
    device: torch.device,
    threads: Mapping[str, int],
    batch_size: int | None,
) -> list[Row]:
    """Rows of one kind of work; `stock` must be among the measured engines."""
    stock, _ = measured["stock"]
    return [
        Row(
            work=work,
            engine=engine,
            device=device.type,
            threads=threads[engine],
            batch_size=batch_size,
            structures_per_s=statistics.median(speeds),
            peak_bytes=peak,
            ratio_to_stock=finite_or_none(
                statistics.median(ours / theirs for ours, theirs in zip(speeds, stock, strict=True))
            ),
        )
        for engine, (speeds, peak) in measured.items()
    ]


def markdown(rows: list[Row], caption: str) -> str:
    """The rows as a Markdown table under a sentence that says how they were measured."""
    lines = [
        caption,
        "",
        "| work | batch | engine | device | threads | structures/s | × stock | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = "" if row.peak_bytes is None else f"{row.peak_bytes / 2**30:.2f} GiB"
        ratio = "" if row.ratio_to_stock is None else f"{row.ratio_to_stock:.2f}"
        lines.append(
            f"| {row.work} | {row.batch_size or ''} | {row.engine} | {row.device} | {row.threads} "
            f"| {row.structures_per_s:,.0f} | {ratio} | {memory} |"
        )
    return "\n".join(lines) + "\n"
