"""The device that computes, and its settings."""

from __future__ import annotations

import os

import torch

from foldwise.errors import FoldwiseError
from foldwise.machine import Machine


def set_up_device(machine: Machine) -> torch.device:
    """Choose the device, and take the machine's CPU threads and no more.

    A CPU gives the same bytes again in any case, a GPU where the settings ask for it.

    Raises:
        FoldwiseError: CUDA is asked for and absent.
    """
    torch.set_num_threads(machine.threads)
    available = torch.cuda.is_available()
    if machine.device == "cuda" and not available:
        raise FoldwiseError(
            "no CUDA device is visible",
            where="--device cuda",
            hint="Use --device cpu, or run where a GPU is.",
        )
    if machine.device == "cpu" or not available:
        torch.use_deterministic_algorithms(mode=True)
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high" if machine.engine.precision == "tf32" else "highest")
    if machine.engine.deterministic:
        # cuBLAS reads this when CUDA starts; without it PyTorch refuses its products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    return torch.device("cuda")
