"""The ways in which this engine runs, as a benchmark compares them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.graphs.sources import BatchSource
from foldwise.network.acceleration import Accelerator
from foldwise.network.checkpoint import new_network
from foldwise.network.chgnet import MODELS, plain_torch
from foldwise.network.kernels.library import load_kernels

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
    """

    name: str
    fused: bool = False
    compiled: bool = False
    precision: str = "float32"
    deterministic: bool = False


def variants(device: torch.device, *, compiled: bool) -> list[Variant]:
    """What there is to compare on a device, the fastest safe one last.

    Args:
        device: A CPU is always deterministic and knows single precision alone.
        compiled: Whether to compile on a CPU too, which takes minutes and does not pay.
    """
    if device.type == "cpu":
        fused = load_kernels(MODELS["chgnet"].width) is not None
        return [
            Variant("flat"),
            *([Variant("compiled", compiled=True)] if compiled else []),
            *([Variant("fused", fused=True)] if fused else []),
        ]
    return [
        Variant("flat"),
        Variant("flat, deterministic", deterministic=True),
        Variant("compiled, tf32", compiled=True, precision="tf32"),
        Variant("compiled, bf16", compiled=True, precision="bf16"),
        Variant("compiled", compiled=True),
    ]


class Runner:
    """A network of one variant, and its energies for batches of a store.

    Args:
        variant: How it runs.
        store: Where batches come from.
        unit: Mean atoms, edges, short edges and angles of a crystal, [4].
    """

    def __init__(self, variant: Variant, store: BatchSource, unit: NDArray[np.float64]) -> None:
        self.variant, self._store = variant, store
        self.network = new_network("chgnet", "pretrained").to(store.device)
        if variant.compiled:
            self.network.accelerator = Accelerator(
                self.network,
                unit,
                compiled=True,
                precision=variant.precision,
                graphs=True,
            )

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Of the network."""
        return list(self.network.parameters())

    def energies(self, rows: list[int]) -> Tensor:
        """Energies per atom, [n]."""
        batch = self._store.batch(torch.tensor(rows))
        with contextlib.nullcontext() if self.variant.fused else plain_torch():
            energy: Tensor = self.network(batch)
        return energy

    def timed(self, work: Callable[[], int]) -> Callable[[], int]:
        """The work in this variant's settings, backward passes included."""

        def run() -> int:
            with self._machine():
                return work()

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
