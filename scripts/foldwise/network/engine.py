"""The machine as CHGNet's engine takes it: threads that share the work and change no number."""

from __future__ import annotations

import ctypes

import torch
from threadpoolctl import threadpool_limits

from foldwise.network.chgnet import FlatCHGNet, uses_kernels
from foldwise.network.devices import set_up_device
from foldwise.network.kernels.functions import (
    kernel_precision,
    set_kernel_precision,
    set_kernel_threads,
)
from foldwise.network.machine import Machine

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def set_up_engine(machine: Machine) -> torch.device:
    """As `set_up_device`; on a CPU no byte of a result depends on the number of threads.

    The threads are the fused kernels', whose sums do not depend on them. Sums of PyTorch and of
    NumPy's linear algebra do, so both keep to one thread.

    Raises:
        FoldwiseError: CUDA is asked for and absent.
    """
    device = set_up_device(machine)
    threadpool_limits(1, user_api="blas")
    if device.type == "cpu":
        set_kernel_threads(machine.threads)
        set_kernel_precision(machine.engine.precision)
        torch.set_num_threads(1)
        _keep_freed_memory()
    return device


def precision_of(network: FlatCHGNet, machine: Machine) -> str:
    """The precision of a network's matrix products: a CPU shortens them on a tile unit only."""
    parameter = next(network.parameters())
    if parameter.device.type == "cuda":
        return machine.engine.precision
    return kernel_precision(network.spec.width) if uses_kernels(parameter) else "float32"


def _keep_freed_memory() -> None:
    """Let glibc reuse what a step frees: pages that the system clears anew cost 3 % of a step."""
    configure = getattr(ctypes.CDLL(None), "mallopt", None)
    if configure is not None:
        configure(_M_MMAP_THRESHOLD, 2**30)
        configure(_M_TRIM_THRESHOLD, 2**31 - 1)
