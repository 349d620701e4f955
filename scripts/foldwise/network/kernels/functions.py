"""The fused kernels as differentiable PyTorch functions on the CPU.

Every call is cut at crystals into the same parts whatever the number of threads. Parts touch
different rows of every output, and their gradients of the weights are added in the parts' order:
any number of threads gives the same bytes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from foldwise.network.kernels.library import (
    GradientPointers,
    KeptPointers,
    WeightPointers,
    has_tiles,
    load_kernels,
)

Part = tuple[int, int]

PARTS = 8  # of every call: at most as many threads find work
# Bytes that a forward pass may keep for its backward pass, which computes the rest again.
KEPT_LIMIT = 2**27


class _Settings:
    """How many threads share the parts of a call, and its bfloat16 products per float32 product."""

    threads = 1
    products = 3


def set_kernel_threads(number: int) -> None:
    """Let this many threads share the parts of every call from here on; no byte depends on it."""
    _Settings.threads = min(number, PARTS)


def set_kernel_precision(precision: str) -> None:
    """Let a tile unit multiply in `bf16`, or else in the quality of float32, from here on.

    Processors without a tile unit multiply in float32 in any case.
    """
    _Settings.products = 1 if precision == "bf16" else 3


def kernel_precision(width: int) -> str:
    """The precision in which networks of `width` features are multiplied: `float32` or `bf16`."""
    return "bf16" if _Settings.products == 1 and has_tiles(width) else "float32"


class GatedWeights(NamedTuple):
    """Weights of one gated MLP: the first layer's block of ungathered features, then the rest.

    Attributes:
        block: First-layer weights of the bond or angle features, [2 * width, width].
        core: Hidden-to-output weights, [width, width]; `None` without a hidden layer.
        core_bias: [width], or `None`.
        gate: As `core`.
        gate_bias: As `core_bias`.
        core_gamma: Scale of the core's layer norm, [width].
        core_beta: Its shift, [width].
        gate_gamma: Scale of the gate's layer norm, [width].
        gate_beta: Its shift, [width].
    """

    block: Tensor
    core: Tensor | None
    core_bias: Tensor | None
    gate: Tensor | None
    gate_bias: Tensor | None
    core_gamma: Tensor
    core_beta: Tensor
    gate_gamma: Tensor
    gate_beta: Tensor


def split_by_crystal(counts: Tensor) -> list[Part]:
    """Cut rows into at most `PARTS` ranges of nearly equal length, at crystals only.

    Args:
        counts: Rows per crystal, int64, [n_crystals].
    """
    ends = torch.cumsum(counts, 0)
    total = int(ends[-1]) if len(ends) else 0
    if total == 0:
        return [(0, 0)]
    wanted = torch.arange(1, PARTS) * total // PARTS
    cuts = ends[torch.searchsorted(ends, wanted)].tolist()
    edges = sorted({0, *cuts, total})
    return list(pairwise(edges))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _address(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


class _Prepared:
    """Contiguous copies of the weights in both orientations, and their C struct."""

    def __init__(self, weights: GatedWeights) -> None:
        def transposed(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.detach().T.contiguous()

        def plain(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.detach().contiguous()

        self.tensors = [
            transposed(weights.block),
            plain(weights.block),
            transposed(weights.core),
            transposed(weights.gate),
            plain(weights.core),
            plain(weights.gate),
            *(plain(bias) for bias in (weights.core_bias, weights.gate_bias)),
            *(plain(tensor) for tensor in weights[5:]),
        ]
        self.width = weights.block.shape[1]
        products = _Settings.products if has_tiles(self.width) else 0
        addresses = (_address(tensor).value for tensor in self.tensors)
        self.struct = WeightPointers(*addresses, products)


class _Kept:
    """What a forward pass leaves for the backward pass, and its C struct.

    Args:
        messages: Rows of the call.
        width: Features.
        hidden: Whether there is a hidden layer.
        keep: Whether a backward pass follows.
    """

    def __init__(self, messages: int, width: int, *, hidden: bool, keep: bool) -> None:
        columns = (2 * width if hidden else 0, 2 * width, 2)
        self.buffer: Tensor | None = None
        self.struct = KeptPointers()
        if keep and messages * sum(columns) * 4 <= KEPT_LIMIT:
            self.buffer = torch.empty(messages * sum(columns))
            pre, normal, inverse = torch.split(self.buffer, [messages * each for each in columns])
            self.struct = KeptPointers(
                pre.data_ptr() if hidden else None, normal.data_ptr(), inverse.data_ptr()
            )


class _Gradients:
    """Zeroed weight gradients of every part; `result` sums them in `GatedWeights`' order."""

    def __init__(self, parts: int, width: int, *, hidden: bool) -> None:
        square = width * width if hidden else 0
        bias = width if hidden else 0
        self.sizes = [2 * width * width, square, square, bias, bias, *[width] * 4]
        self.hidden, self.width = hidden, width
        self.buffer = torch.zeros(parts, sum(self.sizes))
        self.structs = [
            GradientPointers(*(piece.data_ptr() for piece in torch.split(row, self.sizes)))
            for row in self.buffer
        ]

    def result(self) -> tuple[Tensor | None, ...]:
        """Gradients of block, core, core_bias, gate, gate_bias and the four norm weights."""
        block, core, gate, core_bias, gate_bias, *norms = torch.split(
            self.buffer.sum(dim=0), self.sizes
        )
        square = (self.width, self.width)
        second: Sequence[Tensor | None] = (None,) * 4
        if self.hidden:
            second = (core.view(square).T, core_bias, gate.view(square).T, gate_bias)
        return block.view(self.width, -1).T, *second, *norms


def _launch(
    name: str,
    parts: Sequence[Part],
    inputs: Sequence[Tensor],
    weights: _Prepared,
    outputs: Sequence[Tensor],
    *,
    kept: _Kept,
    gradients: _Gradients | None = None,
) -> None:
    """Run a kernel on every part, in parallel: a call through ctypes frees Python's lock."""
    library = load_kernels(weights.width)
    assert library is not None, "the caller has checked that the kernels exist"
    kernel = getattr(library, name)
    kernel.restype = None
    arguments = [
        ctypes.c_int64(parts[-1][1]),
        *(_address(tensor) for tensor in inputs),
        ctypes.byref(weights.struct),
        ctypes.byref(kept.struct),
        *(_address(tensor) for tensor in outputs),
    ]

    def call(numbers: range) -> None:
        for part in numbers:
            extra = [] if gradients is None else [ctypes.byref(gradients.structs[part])]
            start, stop = parts[part]
            kernel(ctypes.c_int64(start), ctypes.c_int64(stop), *arguments, *extra)

    threads = min(_Settings.threads, len(parts))
    if threads == 1:
        call(range(len(parts)))
    else:
        shares = [range(thread, len(parts), threads) for thread in range(threads)]
        list(_pool(threads).map(call, shares))


class AtomConvMessages(torch.autograd.Function):
    """Sum at every atom of the messages along both directions of its edges, [n_atoms, width]."""

    @staticmethod
    def forward(ctx: Any, keep: bool, parts: list[Part], *inputs: Tensor) -> Tensor:
        """Inputs: first, second, centre, neighbour, bonds, envelope, then `GatedWeights`.

        `keep` says that a backward pass follows; no byte depends on it.
        """
        data = [tensor.contiguous() for tensor in inputs[:6]]
        weights = _Prepared(GatedWeights(*inputs[6:]))
        kept = _Kept(2 * len(data[0]), weights.width, hidden=True, keep=keep)
        summed = torch.zeros(len(data[2]), weights.width)
        _launch("atom_conv_forward", parts, data, weights, [summed], kept=kept)
        ctx.save_for_backward(*data)
        ctx.weights, ctx.parts, ctx.kept = weights, parts, kept
        return summed

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of centre, neighbour, bonds, envelope and the weights."""
        data = ctx.saved_tensors
        d_data = [torch.zeros_like(tensor) for tensor in data[2:4]]
        d_data += [torch.empty_like(tensor) for tensor in data[4:]]
        gradients = _Gradients(len(ctx.parts), ctx.weights.width, hidden=True)
        outputs = [slopes[0].contiguous(), *d_data]
        call = ("atom_conv_backward", ctx.parts, data, ctx.weights, outputs)
        _launch(*call, kept=ctx.kept, gradients=gradients)
        return None, None, None, None, *d_data, *gradients.result()


class AngleMessages(torch.autograd.Function):
    """Messages of angles: summed at their left bonds, or added to the angles themselves."""

    @staticmethod
    def forward(
        ctx: Any, keep: bool, parts: list[Part], envelope: Tensor | None, *inputs: Tensor
    ) -> Tensor:
        """Inputs: left, right, centre_of, left_part, right_part, centre, angles, `GatedWeights`.

        With an envelope, [n_short, width], the result is the sum at every short bond, of the
        same shape; without one it is the updated angles, [n_angles, width]. `keep` says that a
        backward pass follows; no byte depends on it.
        """
        data = [tensor.contiguous() for tensor in inputs[:7]]
        weights = _Prepared(GatedWeights(*inputs[7:]))
        kept = _Kept(len(data[6]), weights.width, hidden=envelope is not None, keep=keep)
        if envelope is None:
            name, result = "angle_update_forward", torch.empty_like(data[6])
        else:
            name, result = "bond_conv_forward", torch.zeros_like(envelope)
            data.append(envelope.contiguous())
        _launch(name, parts, data, weights, [result], kept=kept)
        ctx.save_for_backward(*data)
        ctx.weights, ctx.parts, ctx.kept = weights, parts, kept
        return result

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of envelope, the three projections, angles and the weights."""
        data, slope = ctx.saved_tensors, slopes[0].contiguous()
        weighted = len(data) == 8
        d_parts = [torch.zeros_like(tensor) for tensor in data[3:6]]
        d_angles = torch.empty_like(data[6]) if weighted else slope.clone()
        d_envelope = [torch.zeros_like(data[7])] if weighted else []
        gradients = _Gradients(len(ctx.parts), ctx.weights.width, hidden=weighted)
        name = "bond_conv_backward" if weighted else "angle_update_backward"
        outputs = [slope, *d_parts, d_angles, *d_envelope]
        call = (name, ctx.parts, data, ctx.weights, outputs)
        _launch(*call, kept=ctx.kept, gradients=gradients)
        first = (None, None, d_envelope[0] if weighted else None)
        return *first, None, None, None, *d_parts, d_angles, *gradients.result()
