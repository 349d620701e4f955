"""Features of texts from a frozen language model, and a linear head on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.text.model import LanguageModel

Floats = NDArray[np.float64]
PENALTIES = tuple(10.0**power for power in range(-1, 6))
"""Ridge penalties that are tried, on standardised features."""
_DEPTHS = (0.25, 0.5, 0.75, 1.0)
"""Layers whose states are tried, as shares of the depth."""


def text_features(
    model: LanguageModel, texts: Sequence[str], *, batch_tokens: int, log: ProgressLog
) -> dict[int, Floats]:
    """Mean hidden state over the tokens of each text, behind some layers.

    Args:
        model: The language model; its weights stay as they are.
        texts: The texts.
        batch_tokens: Tokens of a batch at most, padding included.
        log: Progress.

    Returns:
        By layer, shape [n, width].

    Raises:
        FoldwiseError: A text is longer than the model takes.
    """
    tokens = [model.tokens(text) for text in texts]
    longest = max(map(len, tokens))
    if longest > model.longest:
        raise FoldwiseError(
            f"a text of {longest} tokens is more than the {model.longest} that {model.name} takes",
            where="detail",
            hint="Take less detail, or a model that takes more.",
        )
    log.line(f"{len(texts)} texts, the longest of {longest} tokens; nothing is cut")
    order = sorted(range(len(texts)), key=lambda row: (len(tokens[row]), row))
    found: dict[int, list[Floats]] = {}
    done = 0
    while done < len(order):
        size = _fitting([len(tokens[row]) for row in order[done:]], batch_tokens)
        for layer, states in _pooled(model, [tokens[row] for row in order[done : done + size]]):
            found.setdefault(layer, []).append(states)
        done += size
        log.step(done, "texts read")
    back = np.argsort(np.array(order), kind="stable")
    return {layer: np.concatenate(parts)[back] for layer, parts in found.items()}


def _fitting(lengths: Sequence[int], batch_tokens: int) -> int:
    """How many of the next texts, which get longer, fit into a batch; at least one."""
    count = 1
    while count < len(lengths) and (count + 1) * lengths[count] <= batch_tokens:
        count += 1
    return count


def _pooled(model: LanguageModel, tokens: Sequence[Sequence[int]]) -> list[tuple[int, Floats]]:
    width = max(map(len, tokens))
    ids = torch.full((len(tokens), width), model.tokenizer.pad_token_id, device=model.device)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(tokens):
        ids[row, : len(one)] = torch.tensor(one, device=model.device)
        mask[row, : len(one)] = 1
    with torch.inference_mode():
        # The network without the layer that makes words of its states.
        inner = model.network.base_model
        states = inner(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    share = mask[:, :, None] / mask.sum(dim=1)[:, None, None]
    layers = sorted({round(depth * (len(states) - 1)) for depth in _DEPTHS})
    return [
        (layer, (states[layer].float() * share).sum(dim=1).double().cpu().numpy())
        for layer in layers
    ]


@dataclass(frozen=True)
class Head:
    """A linear head.

    Attributes:
        layer: Whose states it reads.
        mean: Of each feature over the fitted rows, shape [width].
        scale: Standard deviation of each, shape [width].
        weights: Shape [width].
        intercept: In the unit of the target.
    """

    layer: int
    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

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
                best, kept = errors[1], head
    assert kept is not None
    columns = ["epoch", "layer", "penalty", "train_mae", "val_mae"]
    return kept, pd.DataFrame(tried, columns=columns)
