"""The device that computes, and its settings."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.network.machine import Machine

_SHORT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def set_up_device(machine: Machine) -> torch.device:
    """Choose the device, and take the machine's CPU threads and no more.

    A CPU gives the same bytes again in any case, a GPU if the settings ask for it. On a CPU
    numbers below 1.2e-38 are zeros from here on: some processors handle each in microcode.

    Raises:
        FoldwiseError: CUDA is asked for and absent.
    """
    use_threads(machine.threads)
    available = torch.cuda.is_available()
    if machine.device == "cuda" and not available:
        raise FoldwiseError(
            "no CUDA device is visible",
            where="--device cuda",
            hint="Use --device cpu, or run where a GPU is.",
        )
    if machine.device == "cpu" or not available:
        # use_deterministic_algorithms says the same to the compiler too, whose import takes more
        # than a second; on a CPU nothing is compiled.
        torch.set_deterministic_debug_mode("error")
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high" if machine.engine.precision == "tf32" else "highest")
    if machine.engine.deterministic:
        # On several streams cuBLAS repeats itself only with workspaces of a fixed size.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    return torch.device("cuda")


def use_threads(number: int) -> None:
    """Let PyTorch compute in this many threads of the CPU, with denormal numbers as zeros.

    The setting is a thread's own. Threads that start later inherit it.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(number)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was too small: compiling and recording wrap PyTorch's own error in theirs.

    On a CPU PyTorch raises a plain RuntimeError, whose words differ by system.
    """
    told = any(words in str(error).lower() for words in _SHORT_OF_MEMORY)
    return told or isinstance(error, (torch.OutOfMemoryError, MemoryError))


class LateNumbers:
    """Numbers on their way from the device: work that is queued after them does not delay them.

    Args:
        values: On the device, [n].
    """

    def __init__(self, values: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._host.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = values

    def read(self) -> list[float]:
        """The numbers, once they have arrived."""
        if self._event is not None:
            self._event.synchronize()
        numbers: list[float] = self._host.tolist()
        return numbers
