"""The machine: its names, what it can do at best, and lanes in which engines run on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from foldwise.network.kernels.functions import set_kernel_threads
from foldwise.tracking.record.environment import environment
from maintenance.bench.rows import Work

COPIED_BYTES = {"cpu": 2**28, "cuda": 2**32}  # far more than any cache holds
MATRIX = {"cpu": 2048, "cuda": 8192}
ROUNDS = 5
INSTRUCTION_SETS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16",
    "asimd", "sve", "bf16",
)  # fmt: skip


class Lane:
    """A thread of its own for an engine, as the treatment of denormal numbers is a thread's own.

    PyTorch starts other threads for each lane, and they inherit its setting.

    Args:
        device: A GPU does all work in the caller's thread, as CUDA graphs want it.
        threads: PyTorch's on a CPU, or the fused kernels'.
        flush: Whether numbers below 1.2e-38 are zeros, as in every job of this project.
        fused: Whether the fused kernels run, and PyTorch keeps to one thread, as in a job.
    """

    def __init__(
        self, device: torch.device, threads: int, *, flush: bool, fused: bool = False
    ) -> None:
        self.device, self.threads, self._fused = device, threads, fused
        self._executor = ThreadPoolExecutor(
            1, initializer=torch.set_flush_denormal, initargs=(flush,)
        )

    def timed(self, work: Work) -> Work:
        """The work in this lane."""
        if self.device.type == "cuda":
            return work
        return lambda: self._executor.submit(self._run, work).result()

    def _run(self, work: Work) -> int:
        torch.set_num_threads(1 if self._fused else self.threads)
        set_kernel_threads(self.threads if self._fused else 1)
        return work()


def instruction_sets() -> list[str]:
    """Those of this processor that decide its speed in matrix products; empty if nothing tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    own = set(found.group(1).split()) if found else set()
    return [name for name in INSTRUCTION_SETS if name in own]


def name_of(device: torch.device) -> str:
    """The processor's or GPU's own name."""
    facts = environment()
    return str(facts["gpu"] if device.type == "cuda" else facts["cpu"])


def machine_rates(device: torch.device) -> dict[str, float]:
    """`copy_bytes_per_s` (read and written) and `float32_flop_per_s`, the best of some rounds."""
    source = torch.empty(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    width = MATRIX[device.type]
    matrix = torch.randn(width, width, device=device)
    return {
        "copy_bytes_per_s": 2 * len(source) / _best(lambda: target.copy_(source), device),
        "float32_flop_per_s": 2 * width**3 / _best(lambda: matrix @ matrix, device),
    }


def _best(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest round."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
