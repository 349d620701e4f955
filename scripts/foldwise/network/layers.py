"""Layers of one network, or of several at once: any parameter may be a stack of several models'.

A stack has one more leading dimension, of as many entries as there are models. The rows of an
input are then as many equal parts, one after the other, and each part meets its own model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def _parts(rows: Tensor, models: int) -> Tensor:
    """[models * n, width] as [models, n, width]."""
    return rows.reshape(models, -1, rows.shape[-1])


def multiply(rows: Tensor, weight: Tensor) -> Tensor:
    """Rows times the transposed weight, [out, in] or [models, out, in]."""
    if weight.dim() == 2:
        return rows @ weight.T
    return torch.bmm(_parts(rows, len(weight)), weight.mT).flatten(0, 1)


def add(rows: Tensor, vector: Tensor) -> Tensor:
    """Add [width], or [models, width], to every row."""
    if vector.dim() == 1:
        return rows + vector
    return (_parts(rows, len(vector)) + vector[:, None]).flatten(0, 1)


def scale(rows: Tensor, vector: Tensor) -> Tensor:
    """Every row times [width], or [models, width]; rows may be one column wide."""
    if vector.dim() == 1:
        return rows * vector
    return (_parts(rows, len(vector)) * vector[:, None]).flatten(0, 1)


class Linear(nn.Linear):
    """`nn.Linear` whose parameters may be stacked."""

    def forward(self, rows: Tensor) -> Tensor:
        """Rows of `in_features` to rows of `out_features`."""
        if self.weight.dim() == 2:
            return super().forward(rows)
        product = multiply(rows, self.weight)
        return product if self.bias is None else add(product, self.bias)


class LayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` over the last dimension whose parameters may be stacked."""

    def forward(self, rows: Tensor) -> Tensor:
        """Normalised rows of the same shape."""
        if self.weight.dim() == 1:
            return super().forward(rows)
        normal = functional.layer_norm(rows, self.normalized_shape, eps=self.eps)
        return add(scale(normal, self.weight), self.bias)


class Embedding(nn.Embedding):
    """`nn.Embedding` whose table may be stacked."""

    def forward(self, indices: Tensor) -> Tensor:
        """[n] to [n, embedding_dim]."""
        if self.weight.dim() == 2:
            return super().forward(indices)
        models, entries, _ = self.weight.shape
        first = torch.arange(models, device=indices.device) * entries
        return functional.embedding(
            (indices.reshape(models, -1) + first[:, None]).flatten(), self.weight.flatten(0, 1)
        )
