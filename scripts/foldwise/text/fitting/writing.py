"""Fine-tuning a language model to write the number: adapters, a loss on the answer alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from peft import get_peft_model
from torch import Tensor
from transformers import PreTrainedModel

from foldwise.common.progress import ProgressLog
from foldwise.study.outside.text import TextRecipe
from foldwise.text.decoding import character_tokens
from foldwise.text.fitting.tuning import Row, Tuned, adapters, padded, tune
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DecimalFormat
from foldwise.text.prompts import Prompt

IGNORED = -100  # label that PyTorch's cross-entropy leaves out
Judge = Callable[[LanguageModel], tuple[float, float]]
"""MAE of the held-out answers, and the share of them that could be parsed."""


class AnsweredPrompts:
    """Prompts with their answers; only the answer is a label.

    Args:
        prompts: The prompts.
        targets: What answers them.
        number_format: How answers are written.
        model: Whose tokens are used.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        targets: Sequence[float],
        number_format: DecimalFormat,
        model: LanguageModel,
    ) -> None:
        token = character_tokens(model)
        self._pad = int(model.tokenizer.pad_token_id)
        self.rows: list[Row] = []
        for prompt, target in zip(prompts, targets, strict=True):
            answer = [token[character] for character in number_format.text(target)]
            answer.append(model.tokenizer.eos_token_id)
            ids = [*prompt.tokens, *answer]
            labels = [*[IGNORED] * len(prompt.tokens), *answer]
            self.rows.append({"input_ids": ids, "labels": labels})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Row:
        return self.rows[row]

    def batch(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """A batch of texts, filled up behind; the mask hides what is filled in."""
        return {
            "input_ids": padded([row["input_ids"] for row in rows], self._pad),
            "labels": padded([row["labels"] for row in rows], IGNORED),
            "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
        }


def write_numbers(
    model: LanguageModel,
    settings: TextRecipe,
    number_format: DecimalFormat,
    prompts: Sequence[Prompt],
    targets: Sequence[float],
    *,
    judge: Judge,
    seed: int,
    folder: Path,
    log: Callable[[int], ProgressLog],
) -> tuple[LanguageModel, Tuned]:
    """Fine-tune a model on prompts and the numbers that answer them.

    Args:
        model: The language model; it gets adapters and is changed.
        settings: The recipe.
        number_format: How targets are written.
        prompts: About the fitted rows.
        targets: Of these rows.
        judge: Asks the held-out crystals.
        seed: Decides adapters' start and the order of rows.
        folder: Of checkpoints while it trains: a killed training goes on from the last one.
        log: Makes the progress for a number of steps.

    Returns:
        The fine-tuned model, and how it went.

    Raises:
        FoldwiseError: A text with its answer is longer than the model takes.
    """
    texts = AnsweredPrompts(prompts, targets, number_format, model)
    torch.manual_seed(seed)
    layers = int(model.network.config.num_hidden_layers)
    adapted = get_peft_model(
        model.network, adapters(model, settings, layers, task_type="CAUSAL_LM")
    )
    written = replace(model, network=cast("PreTrainedModel", adapted.get_base_model()))
    tuned = tune(
        adapted, model, settings, texts,
        judge=lambda: judge(written), seed=seed, folder=folder, log=log,
    )  # fmt: skip
    return written, tuned
