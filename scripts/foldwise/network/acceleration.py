"""How a GPU runs the network: compiled, in CUDA graphs, in which precision.

A CPU has one way of its own, the fused kernels, and nothing here changes them. The same code also
runs compiled on a CPU, which is how it is tested without a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._triton import has_triton

from foldwise.common.files import cache_folder
from foldwise.graphs.batch import GraphBatch
from foldwise.graphs.padding import SizeClasses, pad, size_of
from foldwise.graphs.store import GraphStore
from foldwise.network.chgnet import FlatCHGNet, uses_kernels
from foldwise.network.machine import EngineSettings

# Compiling takes 30 to 60 s of an H200 and doubles its 7,700 structures/s at best.
PASSES_WORTH_COMPILING = 300_000
# Edges plus angles up to which launching kernels costs more than running them.
GRAPH_LIMIT = 250_000


class Accelerator:
    """What `network(batch)` runs in place of the plain forward pass.

    Args:
        network: Compiled once; other weights are loaded into it.
        unit: Mean atoms, edges, short edges and angles of a crystal, [4].
        compiled: Whether to compile.
        precision: As in `foldwise.network.machine.EngineSettings`.
        graphs: Whether small batches may run as CUDA graphs: not where one backward pass follows
            several forward passes.
        compiler: `torch.compile`, or what a test puts in its place.
    """

    def __init__(
        self,
        network: FlatCHGNet,
        unit: NDArray[np.float64],
        *,
        compiled: bool,
        precision: str,
        graphs: bool,
        compiler: Callable[..., Any] = torch.compile,
    ) -> None:
        self.compiled, self.precision = compiled, precision
        self._classes = SizeClasses(unit)
        self._parameters = network.parameters
        self._large = self._small = network.energies
        self._graphs = compiled and graphs
        if compiled:
            self._large = compiler(network.energies, dynamic=True)
        if self._graphs:
            self._small = compiler(network.energies, dynamic=True, mode="reduce-overhead")

    def __call__(self, batch: GraphBatch) -> Tensor:
        """Energy per atom, [n_crystals], as `FlatCHGNet.energies` gives it."""
        size = size_of(batch)
        half = self.precision == "bf16"
        with torch.autocast(batch.species.device.type, torch.bfloat16, enabled=half):
            if not self._graphs or size.edges + size.angles > GRAPH_LIMIT or self._accumulates():
                return self._large(batch)
            # One shape, one recorded graph: filling batches up leaves a handful of shapes.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            energies: Tensor = self._small(pad(batch, self._classes.smallest(size)))
            return energies[: size.crystals].clone()  # the graph's next run writes over its own

    def _accumulates(self) -> bool:
        """Whether a gradient waits for more: a graph's next run would write over it."""
        waiting = next(self._parameters()).grad is not None
        return torch.is_grad_enabled() and waiting


def accelerate(
    network: FlatCHGNet,
    store: GraphStore,
    settings: EngineSettings,
    *,
    passes: int,
    several_views: bool = False,
) -> None:
    """Let a network on a GPU run as the settings say; on a CPU nothing happens.

    Args:
        network: On its device.
        store: Graphs of the crystals that it will see.
        settings: What is allowed.
        passes: Crystals that it will be asked about, counted as often as they come.
        several_views: Whether a step has several forward passes.
    """
    if next(network.parameters()).device.type == "cpu":
        return
    compiled = _compiles(settings, passes)
    if not compiled and settings.precision != "bf16":
        return
    network.accelerator = Accelerator(
        network,
        mean_size(store),
        compiled=compiled,
        precision=settings.precision,
        graphs=not several_views,
    )


def _compiles(settings: EngineSettings, passes: int) -> bool:
    worth_it = passes >= PASSES_WORTH_COMPILING and has_triton()
    if settings.compiled == "yes" or (settings.compiled == "auto" and worth_it):
        # Jobs of a study share what one of them has compiled.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
        return True
    return False


def mean_size(store: GraphStore) -> NDArray[np.float64]:
    """Mean atoms, edges, short edges and angles of a store's crystals, [4]."""
    atoms = np.diff(store.offsets[:, 0])
    return np.array([atoms.mean(), *store.core.mean(axis=0)])


def engine_of(network: FlatCHGNet) -> str:
    """What runs the network: `fused` CPU kernels, `compiled`, or plain `torch`."""
    if isinstance(network.accelerator, Accelerator) and network.accelerator.compiled:
        return "compiled"
    return "fused" if uses_kernels(next(network.parameters())) else "torch"
