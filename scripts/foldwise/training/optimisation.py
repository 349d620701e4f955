"""Learning-rate schedule, loss, gradient clipping and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn

from foldwise.study.recipe import Recipe


def _undecorated(method: Any) -> Any:
    return getattr(method, "__wrapped__", method)


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` that does not import `torch._dynamo`, two seconds of every job.

    PyTorch wraps these methods for optimisers that are compiled, which this one is not. Without
    the wrappers they are the same functions; a version of PyTorch without wrappers is fine too.
    """

    add_param_group = _undecorated(torch.optim.AdamW.add_param_group)
    load_state_dict = _undecorated(torch.optim.AdamW.load_state_dict)
    state_dict = _undecorated(torch.optim.AdamW.state_dict)
    step = torch.no_grad()(_undecorated(torch.optim.AdamW.step))
    zero_grad = _undecorated(torch.optim.AdamW.zero_grad)


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Rate of step `step` (from 0): a linear warm-up, then a cosine to zero.

    PyTorch's schedulers keep a state; this rate follows from the step, also in a resumed training.
    """
    warmup_steps = max(1, round(recipe.warmup * total_steps))
    if step < warmup_steps:
        return recipe.lr * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))


def row_loss(prediction: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """Loss of every row, shape [n]."""
    if recipe.loss == "l1":
        return (prediction - target).abs()
    if recipe.loss == "mse":
        return (prediction - target).square()
    if recipe.loss == "logistic":
        return functional.binary_cross_entropy_with_logits(prediction, target, reduction="none")
    return functional.huber_loss(prediction, target, reduction="none", delta=recipe.huber_delta)


def mixed_loss(
    prediction: Tensor, hard: Tensor, soft: Tensor, weight: Tensor, recipe: Recipe
) -> Tensor:
    """Mean loss of a batch of hard and soft targets.

    A row with both has `(1 - soft_weight) * hard + soft_weight * weight * soft`; a row with one
    of them has that one alone.

    Args:
        prediction: Network output, shape [n].
        hard: Hard targets in network units, NaN where absent, shape [n].
        soft: Soft targets in network units, NaN where absent, shape [n].
        weight: Weight of each soft target, shape [n].
        recipe: Loss and share of the soft targets.
    """
    share = recipe.teacher.soft_weight if recipe.teacher else 0.0
    has_hard, has_soft = ~torch.isnan(hard), ~torch.isnan(soft)
    soft_share = torch.where(has_hard, share, 1.0) * has_soft
    hard_share = torch.where(has_soft, 1 - share, 1.0) * has_hard
    hard_loss = row_loss(prediction, torch.where(has_hard, hard, prediction.detach()), recipe)
    soft_loss = row_loss(prediction, torch.where(has_soft, soft, prediction.detach()), recipe)
    return (hard_share * hard_loss + soft_share * weight * soft_loss).mean()


class MovingAverage:
    """Exponential moving average of a module's parameters, fast at first.

    The decay of step `k` is `min(decay, (1 + k) / (10 + k))`, the warm-up of TensorFlow's
    `ExponentialMovingAverage`, so that short trainings do not keep their initial weights. The step
    is `torch.optim.swa_utils`' own; its `AveragedModel` is not used because it carries its count
    to the device, and waits for that, at every step.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = [parameter.detach().clone() for parameter in module.parameters()]
        self.steps = 0

    def update(self, module: nn.Module) -> None:
        """Move towards the module's present parameters."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        move(self.average, list(module.parameters()), self.steps)

    def into(self, module: nn.Module) -> None:
        """Put the average into the module for good."""
        _overwrite(module, self.average)

    @contextmanager
    def in_place_of(self, module: nn.Module) -> Iterator[None]:
        """Put the average into the module inside the block: one module, compiled once."""
        own = [parameter.detach().clone() for parameter in module.parameters()]
        _overwrite(module, self.average)
        try:
            yield
        finally:
            _overwrite(module, own)


@torch.no_grad()
def _overwrite(module: nn.Module, values: list[Tensor]) -> None:
    for parameter, value in zip(module.parameters(), values, strict=True):
        parameter.copy_(value)
