"""Answers from a network: a shared beginning computed once, numbers read character by character.

The keys and values of a beginning are kept and repeated over a batch; the endings stand behind
them, padded in between, where the mask hides the padding. Positions go on as if nothing was padded,
so an answer does not depend on what it was batched with (up to rounding).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from foldwise.common.errors import FoldwiseError
from foldwise.text.batches import Batch
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DIGITS, SIGNS, DecimalFormat, median_step, order_of
from foldwise.text.replies import FORMAT, LENGTH, STOP, Reply

HALF = 0.5
Choice = Callable[[int, str, NDArray[np.float64], bool], int]


class Beginning:
    """Keys and values of the tokens that prompts begin with.

    Args:
        model: The language model.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._tokens: tuple[int, ...] = ()
        self._cache = DynamicCache()

    def repeated(self, tokens: Sequence[int], rows: int) -> DynamicCache:
        """A cache of these tokens for `rows` rows; what the last one had alike is not redone."""
        known = 0
        for one, two in zip(self._tokens, tokens, strict=False):
            if one != two:
                break
            known += 1
        if known < len(self._tokens):
            self._cache.crop(known - len(self._tokens))
        rest = tuple(tokens[known:])
        if rest:
            ids = torch.tensor([rest], device=self._model.device)
            last_logits(self._model, ids, self._cache)
        self._tokens = tuple(tokens)
        copy = DynamicCache()
        if tokens:
            shape = (rows, -1, -1, -1)
            for number, layer in enumerate(self._cache.layers):
                kept: Any = layer
                copy.update(kept.keys.expand(*shape), kept.values.expand(*shape), number)
        return copy


def last_logits(
    model: LanguageModel,
    ids: Tensor,
    cache: DynamicCache,
    mask: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """Logits behind the last token of every row, [rows, vocabulary]; the cache grows."""
    given: dict[str, Any] = (
        {} if mask is None else {"attention_mask": mask, "position_ids": positions}
    )
    if "logits_to_keep" in inspect.signature(model.network.forward).parameters:
        given["logits_to_keep"] = 1
    out = model.network(input_ids=ids, past_key_values=cache, use_cache=True, **given)
    logits: Tensor = out.logits[:, -1].float()
    return logits


@dataclass
class _Row:
    """Answers that are being written, all as long as each other."""

    texts: list[str]
    quantiles: list[float]


class NumberDecoder:
    """Answers batches of prompts.

    Args:
        model: The language model.
        number_format: How answers are written.
        free: Let the model answer in its own words.
        answer_tokens: Tokens of such words at most.

    Raises:
        FoldwiseError: A character of the format is no token of the model.
    """

    def __init__(
        self,
        model: LanguageModel,
        number_format: DecimalFormat,
        *,
        free: bool = False,
        answer_tokens: int = 16,
    ) -> None:
        self._model, self._format = model, number_format
        self._free, self.answer_tokens = free, answer_tokens
        self._beginning = Beginning(model)
        self._token = {} if free else character_tokens(model)

    def answer(self, batch: Batch) -> list[Reply]:
        """Reply to every prompt of a batch, in its order."""
        with torch.inference_mode():
            return self._own_words(batch) if self._free else self._numbers(batch)

    def _start(self, batch: Batch) -> tuple[DynamicCache, Tensor, Tensor, Tensor]:
        """Cache, logits, mask and next positions behind the prompts."""
        endings, rows = batch.endings, len(batch.prompts)
        width = max(map(len, endings))
        device, pad = self._model.device, self._model.tokenizer.pad_token_id
        ids = torch.full((rows, width), pad, device=device)
        mask = torch.zeros((rows, width), dtype=torch.long, device=device)
        for row, ending in enumerate(endings):
            ids[row, width - len(ending) :] = torch.tensor(ending, device=device)
            mask[row, width - len(ending) :] = 1
        positions = len(batch.shared) + (mask.cumsum(dim=1) - 1).clamp(min=0)
        cache = self._beginning.repeated(batch.shared, rows)
        whole = torch.cat([mask.new_ones(rows, len(batch.shared)), mask], dim=1)
        logits = last_logits(self._model, ids, cache, whole, positions)
        return cache, logits, whole, positions[:, -1:] + 1

    def _numbers(self, batch: Batch) -> list[Reply]:
        cache, logits, mask, positions = self._start(batch)
        length = mask.shape[1]
        first = self._format.slots[0]
        tokens = [self._token[character] for character in first]
        share = logits.softmax(dim=1)[:, tokens].sum(dim=1).tolist()
        medians = self._written(cache, logits, mask, positions, by_median=True)
        cache.crop(length - cache.get_seq_length())
        plain = self._written(cache, logits, mask, positions, by_median=False)
        count = len(self._format.slots)
        return [
            Reply(median, mode, count, FORMAT, number_share)
            for median, mode, number_share in zip(medians, plain, share, strict=True)
        ]

    def _written(
        self,
        cache: DynamicCache,
        logits: Tensor,
        mask: Tensor,
        positions: Tensor,
        *,
        by_median: bool,
    ) -> list[str]:
        """One number per row; forced characters wait for the next pass and cost none."""
        rows = _Row([""] * len(mask), [HALF] * len(mask))
        waiting: list[list[int]] = [[] for _ in rows.texts]
        for slot in self._format.slots:
            if len(slot) > 1 and waiting[0]:
                ids = torch.tensor(waiting, device=mask.device)
                steps = torch.arange(ids.shape[1], device=mask.device)
                mask = torch.cat([mask, mask.new_ones(ids.shape)], dim=1)
                logits = last_logits(self._model, ids, cache, mask, positions + steps)
                positions = positions + ids.shape[1]
                waiting = [[] for _ in rows.texts]
            chosen = [slot] * len(rows.texts)
            if len(slot) > 1:
                chosen = self._chosen(slot, logits, rows, by_median=by_median)
            for row, character in enumerate(chosen):
                rows.texts[row] += character
                waiting[row].append(self._token[character])
        return rows.texts

    def _chosen(self, slot: str, logits: Tensor, rows: _Row, *, by_median: bool) -> list[str]:
        tokens = [self._token[character] for character in slot]
        shares = logits[:, tokens].double().softmax(dim=1).cpu().numpy()
        chosen = []
        for row, text in enumerate(rows.texts):
            if not by_median:
                chosen.append(slot[int(shares[row].argmax())])
                continue
            order = order_of(slot, negative=text.startswith("-"))
            sorted_shares = shares[row][[slot.index(character) for character in order]]
            branch, rows.quantiles[row], _ = median_step(sorted_shares, rows.quantiles[row])
            chosen.append(order[branch])
        return chosen

    def _own_words(self, batch: Batch) -> list[Reply]:
        cache, logits, mask, positions = self._start(batch)
        rows = len(batch.prompts)
        ends = set(_as_list(self._model.network.generation_config.eos_token_id))
        ends |= set(_as_list(self._model.tokenizer.eos_token_id))
        said: list[list[int]] = [[] for _ in range(rows)]
        ended = [False] * rows
        for number in range(self.answer_tokens):
            best = logits.argmax(dim=1).tolist()
            for row, token in enumerate(best):
                ended[row] = ended[row] or token in ends
                if not ended[row]:
                    said[row].append(token)
            if all(ended) or number + 1 == self.answer_tokens:
                break
            ids = torch.tensor(best, device=mask.device)[:, None]
            mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
            logits = last_logits(self._model, ids, cache, mask, positions)
            positions = positions + 1
        texts = [
            str(self._model.tokenizer.decode(tokens, skip_special_tokens=True)) for tokens in said
        ]
        return [
            Reply(text, text, len(tokens), STOP if end else LENGTH)
            for text, tokens, end in zip(texts, said, ended, strict=True)
        ]


def _as_list(value: int | Sequence[int] | None) -> list[int]:
    return [] if value is None else [value] if isinstance(value, int) else list(value)


def character_tokens(model: LanguageModel) -> dict[str, int]:
    """The token of every character that numbers are written with.

    Raises:
        FoldwiseError: One is no token of its own.
    """
    tokens = {}
    for character in f"{SIGNS}.{DIGITS}":
        ids = model.tokenizer(character, add_special_tokens=False)["input_ids"]
        if len(ids) != 1 or str(model.tokenizer.decode(ids)).strip() != character:
            raise FoldwiseError(
                f"{character!r} is no token of {model.name}, so numbers cannot be read off its "
                "distribution",
                where="decoding",
                hint="Take decoding: free, or another model.",
            )
        tokens[character] = ids[0]
    return tokens
