"""The ways in which this engine runs, as a benchmark compares them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.bench.machine import threads_of_the_kernels
from foldwise.graphs.padding import enclosing, pad, side_by_side
from foldwise.graphs.sources import BatchSource
from foldwise.network.acceleration import Accelerator, StackedEnergies
from foldwise.network.checkpoint import new_network
from foldwise.network.chgnet import MODELS, FlatCHGNet, plain_torch
from foldwise.network.kernels.library import load_kernels

SEEDS = 3  # networks that are stepped at once
# Every variant and batch size adds entries to one function's cache; past the limit PyTorch would
# run it uncompiled, and the row would lie.
torch._dynamo.config.recompile_limit = 256
torch._dynamo.config.fail_on_recompile_limit_hit = True


@dataclass(frozen=True)
class Variant:
    """One way to run the network.

    Attributes:
        name: In the rows.
        fused: By the fused CPU kernels.
        compiled: By `torch.compile`, small batches of a GPU in CUDA graphs.
        precision: Of matrix products.
        deterministic: With PyTorch's deterministic algorithms alone.
        seeds: Networks that are stepped at once, each on its own batch.
    """

    name: str
    fused: bool = False
    compiled: bool = False
    precision: str = "float32"
    deterministic: bool = False
    seeds: int = 1


def variants(device: torch.device, *, compiled: bool) -> list[Variant]:
    """What there is to compare on a device, the fastest safe one last.

    Args:
        device: A CPU is always deterministic and knows single precision alone.
        compiled: Whether to compile on a CPU too, which takes minutes and does not pay.
    """
    several = Variant(f"flat, {SEEDS} seeds at once", seeds=SEEDS)
    if device.type == "cpu":
        fused = load_kernels(MODELS["chgnet"].width) is not None
        return [
            Variant("flat"),
            several,
            *([Variant("compiled", compiled=True)] if compiled else []),
            *([Variant("fused", fused=True)] if fused else []),
        ]
    return [
        Variant("flat"),
        Variant("flat, deterministic", deterministic=True),
        several,
        Variant("compiled, tf32", compiled=True, precision="tf32"),
        Variant("compiled, bf16", compiled=True, precision="bf16"),
        Variant(f"compiled, {SEEDS} seeds at once", compiled=True, seeds=SEEDS),
        Variant("compiled", compiled=True),
    ]


class Runner:
    """Networks of one variant, and their energies for batches of a store.

    Args:
        variant: How they run.
        store: Where batches come from.
        unit: Mean atoms, edges, short edges and angles of a crystal, [4].
    """

    def __init__(self, variant: Variant, store: BatchSource, unit: NDArray[np.float64]) -> None:
        self.variant, self._store = variant, store
        self.networks = [
            new_network("chgnet", "pretrained").to(store.device) for _ in range(variant.seeds)
        ]
        self._stacked = StackedEnergies(compiled=variant.compiled, precision=variant.precision)
        if variant.seeds == 1 and variant.compiled:
            self.network.accelerator = Accelerator(
                self.network,
                unit,
                compiled=True,
                precision=variant.precision,
                graphs=True,
            )

    @property
    def network(self) -> FlatCHGNet:
        """The first network."""
        return self.networks[0]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Of all networks."""
        return [parameter for network in self.networks for parameter in network.parameters()]

    def energies(self, rows: list[int]) -> Tensor:
        """Energies per atom, [n], or the same batch for every network, [seeds, n]."""
        batch = self._store.batch(torch.tensor(rows))
        if len(self.networks) == 1:
            with contextlib.nullcontext() if self.variant.fused else plain_torch():
                energy: Tensor = self.network(batch)
            return energy
        filled = pad(batch, enclosing([batch]))
        joint = self._stacked(self.networks, side_by_side([filled] * len(self.networks)))
        return joint[:, : len(rows)]

    def timed(self, work: Callable[[], int]) -> Callable[[], int]:
        """The work in this variant's settings, backward passes included."""

        def run() -> int:
            threads = threads_of_the_kernels() if self.variant.fused else contextlib.nullcontext()
            with self._machine(), threads:
                return work() * len(self.networks)

        return run

    @contextlib.contextmanager
    def _machine(self) -> Iterator[None]:
        """PyTorch's switches for the whole process, set back at the end."""
        before = torch.get_float32_matmul_precision()
        deterministic = torch.are_deterministic_algorithms_enabled()
        torch.set_float32_matmul_precision("high" if self.variant.precision == "tf32" else before)
        torch.use_deterministic_algorithms(self.variant.deterministic or deterministic)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            torch.use_deterministic_algorithms(deterministic)
