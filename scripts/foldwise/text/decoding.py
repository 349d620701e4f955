"""Answers from a network: a shared beginning computed once, numbers read character by character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.text.batches import Batch
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DIGITS, SIGNS, DecimalFormat, median_step, order_of
from foldwise.text.packing import Beginning, Pack
from foldwise.text.replies import FORMAT, LENGTH, STOP, Reply

HALF = 0.5


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

    def _numbers(self, batch: Batch) -> list[Reply]:
        pack, logits = self._read(batch)
        tokens = [self._token[character] for character in self._format.slots[0]]
        share = logits.softmax(dim=1)[:, tokens].sum(dim=1).tolist()
        read = pack.state()
        medians = self._written(pack, logits, by_median=True)
        pack.back_to(read)
        plain = self._written(pack, logits, by_median=False)
        count = len(self._format.slots)
        return [
            Reply(median, mode, count, FORMAT, number_share)
            for median, mode, number_share in zip(medians, plain, share, strict=True)
        ]

    def _read(self, batch: Batch) -> tuple[Pack, Tensor]:
        """The prompts of a batch, and the logits behind them."""
        pack = Pack(self._model, self._beginning.cache_of(batch.shared), len(batch.shared))
        return pack, pack.read(dict(enumerate(batch.endings)))

    def _written(self, pack: Pack, logits: Tensor, *, by_median: bool) -> list[str]:
        """One number per row; forced characters wait for the next pass and cost none."""
        rows = _Rows([""] * len(logits), [HALF] * len(logits))
        waiting: list[list[int]] = [[] for _ in rows.texts]
        for slot in self._format.slots:
            if len(slot) > 1 and waiting[0]:
                logits = pack.read(dict(enumerate(waiting)))
                waiting = [[] for _ in rows.texts]
            chosen = [slot] * len(rows.texts)
            if len(slot) > 1:
                chosen = self._chosen(slot, logits, rows, by_median=by_median)
            for row, character in enumerate(chosen):
                rows.texts[row] += character
                waiting[row].append(self._token[character])
        return rows.texts

    def _chosen(self, slot: str, logits: Tensor, rows: _Rows, *, by_median: bool) -> list[str]:
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
        pack, logits = self._read(batch)
        ends = set(_as_list(self._model.network.generation_config.eos_token_id))
        ends |= set(_as_list(self._model.tokenizer.eos_token_id))
        said: list[list[int]] = [[] for _ in batch.prompts]
        speaking = list(range(len(said)))
        for number in range(self.answer_tokens):
            best = dict(zip(speaking, logits.argmax(dim=1).tolist(), strict=True))
            speaking = [row for row, token in best.items() if token not in ends]
            for row in speaking:
                said[row].append(best[row])
            if not speaking or number + 1 == self.answer_tokens:
                break
            logits = pack.read({row: [best[row]] for row in speaking})
        texts = [
            str(self._model.tokenizer.decode(tokens, skip_special_tokens=True)) for tokens in said
        ]
        return [
            Reply(text, text, len(tokens), LENGTH if row in speaking else STOP)
            for row, (text, tokens) in enumerate(zip(texts, said, strict=True))
        ]


@dataclass
class _Rows:
    """Answers that are being written, all as long as each other."""

    texts: list[str]
    quantiles: list[float]


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
