"""The device that computes, and its settings."""

from __future__ import annotations

import torch

from foldwise.errors import FoldwiseError


def set_up_device(name: str, threads: int) -> torch.device:
    """Choose the device, take `threads` CPU threads and no more, and ask for reproducible sums.

    Args:
        name: `auto` (CUDA where there is one), `cpu` or `cuda`.
        threads: CPU threads.

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
    return torch.device("cuda")
