"""What a machine can do at best: the bandwidth of a copy and the rate of a matrix product."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import torch

from foldwise.network.devices import use_threads
from foldwise.network.kernels.functions import set_kernel_threads
from foldwise.tracking.record.environment import environment

COPIED_BYTES = {"cpu": 2**28, "cuda": 2**32}  # far more than any cache holds
MATRIX = {"cpu": 2048, "cuda": 8192}
ROUNDS = 5


@contextlib.contextmanager
def threads_of_the_kernels() -> Iterator[None]:
    """Inside the block threads and denormal numbers are as `set_up_engine` sets them."""
    threads = torch.get_num_threads()
    use_threads(1)
    set_kernel_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        set_kernel_threads(1)


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
