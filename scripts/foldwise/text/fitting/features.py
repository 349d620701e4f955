"""Features of texts from a frozen language model, and a linear head on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

from foldwise.common.progress import ProgressLog
from foldwise.text.fitting.tuning import check_text_length, padded
from foldwise.text.model import LanguageModel

Floats = NDArray[np.float64]
PENALTIES = tuple(10.0**power for power in range(-1, 6))
"""Ridge penalties that are tried, on standardised features."""
_DEPTHS = (0.25, 0.5, 0.75, 1.0)
"""Layers whose states are tried, as shares of the depth."""


def text_features(
    model: LanguageModel,
    tokens: Sequence[Sequence[int]],
    *,
    batch_tokens: int,
    log: ProgressLog,
) -> dict[int, Floats]:
    """Mean hidden state over the tokens of each text, behind some layers.

    Args:
        model: The language model; its weights stay as they are.
        tokens: Of each text.
        batch_tokens: Tokens of a batch at most, padding included.
        log: Progress.

    Returns:
        By layer, shape [n, width].

    Raises:
        FoldwiseError: A text is longer than the model takes.
    """
    longest = max(map(len, tokens))
    check_text_length(longest, model)
    log.line(f"{len(tokens)} texts, the longest of {longest} tokens; nothing is cut")
    found: dict[int, Floats] = {}
    done = 0
    for rows in length_batches(tokens, batch_tokens):
        for layer, states in _pooled(model, [tokens[row] for row in rows]):
            found.setdefault(layer, np.empty((len(tokens), states.shape[1])))[rows] = states
        done += len(rows)
        log.step(done, "texts read")
    return found


def length_batches(tokens: Sequence[Sequence[int]], batch_tokens: int) -> list[list[int]]:
    """Numbers of the texts that are read together, short ones first; each in one batch.

    Args:
        tokens: Of each text.
        batch_tokens: Tokens of a batch at most, padding included; one text is always taken.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(tokens)), key=lambda row: (len(tokens[row]), row)):
        if batches and (len(batches[-1]) + 1) * len(tokens[row]) <= batch_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of each text, shape [n, features].

    Args:
        states: Shape [n, width, features].
        mask: One where a token is, zero where it was filled up, shape [n, width].
    """
    share = mask[:, :, None] / mask.sum(dim=1)[:, None, None]
    return (states.float() * share).sum(dim=1)


def _pooled(model: LanguageModel, tokens: Sequence[Sequence[int]]) -> list[tuple[int, Floats]]:
    ids = padded(tokens, int(model.tokenizer.pad_token_id)).to(model.device)
    mask = padded([[1] * len(one) for one in tokens], 0).to(model.device)
    with torch.inference_mode():
        # The network without the layer that makes words of its states.
        inner = model.network.base_model
        states = inner(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    layers = sorted({round(depth * (len(states) - 1)) for depth in _DEPTHS})
    return [(layer, mean_state(states[layer], mask).double().cpu().numpy()) for layer in layers]


@dataclass(frozen=True)
class Head:
    """A linear head.

    Attributes:
        layer: Whose states it reads.
        mean: Of each feature over the fitted rows, shape [width].
        scale: Standard deviation of each, shape [width].
        weights: Shape [width].
        intercept: In the unit of the target.
        penalty: Ridge penalty that it was fitted with.
        train_mae: Mean absolute error over the fitted rows.
        val_mae: The same over the held-out rows.
    """

    layer: int
    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float
    penalty: float = np.nan
    train_mae: float = np.nan
    val_mae: float = np.nan

    def answer(self, features: dict[int, Floats]) -> Floats:
        """Predictions in the unit of the target, shape [n]."""
        answer: Floats = ((features[self.layer] - self.mean) / self.scale) @ self.weights
        return answer + self.intercept


def fit_head(
    features: dict[int, Floats],
    targets: Floats,
    fitted: NDArray[np.bool_],
    held_out: NDArray[np.bool_],
) -> tuple[Head, pd.DataFrame]:
    """Ridge regression on the states of one layer; layer and penalty by the error on the hold-out.

    Args:
        features: By layer, shape [n, width].
        targets: Shape [n]; only those of fitted and held-out rows are looked at.
        fitted: Rows to fit.
        held_out: Rows to choose by.

    Returns:
        The head, and one row per choice that was tried: epoch (its number), layer, penalty,
        train_mae, val_mae.
    """
    tried: list[list[float]] = []
    best, kept = np.inf, None
    for layer, states in features.items():
        mean, scale = states[fitted].mean(axis=0), states[fitted].std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        for penalty in PENALTIES:
            ridge = Ridge(alpha=penalty).fit((states[fitted] - mean) / scale, targets[fitted])
            head = Head(layer, mean, scale, np.asarray(ridge.coef_), float(ridge.intercept_))
            errors = [
                float(np.abs(head.answer({layer: states[rows]}) - targets[rows]).mean())
                for rows in (fitted, held_out)
            ]
            tried.append([len(tried) + 1, layer, penalty, *errors])
            if errors[1] < best:
                best, kept = (
                    errors[1],
                    replace(head, penalty=penalty, train_mae=errors[0], val_mae=errors[1]),
                )
    assert kept is not None
    columns = ["epoch", "layer", "penalty", "train_mae", "val_mae"]
    return kept, pd.DataFrame(tried, columns=columns)
