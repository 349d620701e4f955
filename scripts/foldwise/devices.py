"""The device that computes, and its settings."""

from __future__ import annotations

import os

import torch

from foldwise.engine_settings import EngineSettings
from foldwise.errors import FoldwiseError


def set_up_device(name: str, threads: int, engine: EngineSettings | None = None) -> torch.device:
    """Choose the device, and take `threads` CPU threads and no more.

    A CPU gives the same bytes again in any case, a GPU where the settings ask for it.

    Args:
        name: `auto` (CUDA where there is one), `cpu` or `cuda`.
        threads: CPU threads.
        engine: What a GPU may do.

    Raises:
        FoldwiseError: CUDA is asked for and absent.
    """
    torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise FoldwiseError(
            "no CUDA device is visible",
            where="--device cuda",
            hint="Use --device cpu, or run where a GPU is.",
        )
    if name == "cpu" or not available:
        torch.use_deterministic_algorithms(mode=True)
        return torch.device("cpu")
    engine = engine or EngineSettings()
    torch.set_float32_matmul_precision("high" if engine.precision == "tf32" else "highest")
    if engine.deterministic:
        # cuBLAS reads this when CUDA starts; without it PyTorch refuses its products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    return torch.device("cuda")
