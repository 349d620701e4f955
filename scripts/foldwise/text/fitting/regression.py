"""A regression head on a language model: linear on the frozen states first, then both fine-tuned.

In this order (Kumar et al. 2022) the fine-tuning starts from a head that fits, so that its first
steps do not distort what the model has learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel, get_peft_model
from torch import Tensor

from foldwise.common.progress import ProgressLog
from foldwise.study.outside.text import TextRecipe
from foldwise.text.fitting.features import Head, length_batches, mean_state
from foldwise.text.fitting.tuning import Row, Tuned, adapters, padded, tune
from foldwise.text.model import LanguageModel

Floats = NDArray[np.float64]


class Regressor(torch.nn.Module):
    """A network with a linear head on the mean state of a text.

    Args:
        network: The network without the layer that makes words of its states.
        head: What the head starts from.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: torch.nn.Module, head: Head) -> None:
        super().__init__()
        self.network, self.layer = network, head.layer
        self.regression_head = torch.nn.Linear(len(head.weights), 1)
        with torch.no_grad():
            self.regression_head.weight.copy_(torch.tensor(head.weights)[None])
            self.regression_head.bias.fill_(head.intercept)
        self.register_buffer("mean", torch.tensor(head.mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(head.scale, dtype=torch.float32))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, targets: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Answers, and with targets the mean absolute error.

        Args:
            input_ids: Shape [n, width].
            attention_mask: Shape [n, width].
            targets: In the unit of the target, shape [n].
        """
        out = self.network(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        )
        states = mean_state(out.hidden_states[self.layer], attention_mask)
        answers = self.regression_head((states - self.mean) / self.scale)[:, 0]
        loss = {} if targets is None else {"loss": (answers - targets).abs().mean()}
        return {**loss, "answers": answers}


class TargetedTexts:
    """Texts with their targets.

    Args:
        tokens: Of each text.
        targets: In the unit of the target.
        pad: Token that fills short texts.
    """

    def __init__(self, tokens: Sequence[Sequence[int]], targets: Sequence[float], pad: int) -> None:
        self._pad = pad
        self.rows: list[Row] = [
            {"input_ids": list(one), "target": float(target)}
            for one, target in zip(tokens, targets, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Row:
        return self.rows[row]

    def batch(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """A batch of texts, filled up behind; the mask hides what is filled in."""
        targets = torch.tensor([row["target"] for row in rows], dtype=torch.float32)
        return _inputs([row["input_ids"] for row in rows], self._pad) | {"targets": targets}


@dataclass(frozen=True)
class FineTunedHead:
    """A head and the network below it, fine-tuned together.

    Attributes:
        network: The network.
        tuned: How it went.
    """

    network: PeftModel
    tuned: Tuned

    def answer(
        self, model: LanguageModel, tokens: Sequence[Sequence[int]], batch_tokens: int
    ) -> Floats:
        """Predictions in the unit of the target, shape [n].

        Args:
            model: The language model.
            tokens: Of each text.
            batch_tokens: Tokens of a batch at most, padding included.
        """
        return _answers(self.network, model, tokens, batch_tokens)


def tune_head(
    model: LanguageModel,
    settings: TextRecipe,
    head: Head,
    fitted: tuple[Sequence[Sequence[int]], Sequence[float]],
    held_out: tuple[Sequence[Sequence[int]], Floats],
    *,
    seed: int,
    folder: Path,
    log: Callable[[int], ProgressLog],
) -> FineTunedHead:
    """Fine-tune a head and adapters below it on the mean absolute error.

    Args:
        model: The language model; it gets adapters and is changed.
        settings: The recipe.
        head: A head on the frozen states, which it starts from.
        fitted: Tokens and targets of the rows to fit.
        held_out: Tokens and targets of the rows that are asked at every evaluation.
        seed: Decides adapters' start and the order of rows.
        folder: Of checkpoints while it trains: a killed training goes on from the last one.
        log: Makes the progress for a number of steps.

    Raises:
        FoldwiseError: A text is longer than the model takes.
    """
    torch.manual_seed(seed)
    regressor = Regressor(model.network.base_model, head).to(model.device)
    network = get_peft_model(
        regressor,
        adapters(model, settings, head.layer, modules_to_save=["regression_head"]),
    )
    asked, truth = held_out

    def judge() -> tuple[float, float]:
        answers = _answers(network, model, asked, settings.batch_tokens)
        return float(np.abs(answers - truth).mean()), 1.0

    texts = TargetedTexts(*fitted, int(model.tokenizer.pad_token_id))
    tuned = tune(
        network, model, settings, texts, judge=judge, seed=seed, folder=folder, log=log
    )  # fmt: skip
    return FineTunedHead(network, tuned)


def _answers(
    network: Any, model: LanguageModel, tokens: Sequence[Sequence[int]], batch_tokens: int
) -> Floats:
    found = np.empty(len(tokens))
    pad = int(model.tokenizer.pad_token_id)
    with torch.inference_mode():
        for rows in length_batches(tokens, batch_tokens):
            inputs = _inputs([tokens[row] for row in rows], pad)
            answers = network(**{name: part.to(model.device) for name, part in inputs.items()})
            found[rows] = answers["answers"].double().cpu().numpy()
    return found


def _inputs(tokens: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    return {
        "input_ids": padded(tokens, pad),
        "attention_mask": padded([[1] * len(one) for one in tokens], 0),
    }
