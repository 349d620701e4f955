"""Training examples: random masks, or the later mentions of nouns, each example from its number.

Example `i` follows from the seed and `i` alone, so an interrupted training goes on with exactly the
examples that it would have seen. transformers' DataCollatorForLanguageModeling draws the masks of
batch after batch from one stream of random numbers, and knows no nouns.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from foldwise.mlm.texts.tagged_texts import TaggedText

IGNORED = -100
_HANGUL_START, _FINALS = 0xAC00, 28
_KEPT_NOUNS = 0.2


@dataclass(frozen=True)
class MaskingRules:
    """What is masked.

    Attributes:
        mask_rate: Share of the tokens that random masking hides.
        entity_fraction: Share of the examples that hide later mentions of nouns instead.
        substitute: Share of the entity examples whose nouns are exchanged for others, the same
            ones at every mention: the answer then follows from the text, not from memory.
        seed: Decides everything random.
    """

    mask_rate: float = 0.15
    entity_fraction: float = 0.0
    substitute: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Masked:
    """A sequence with hidden tokens: ids, and the hidden ones (`IGNORED` elsewhere)."""

    ids: list[int]
    labels: list[int]


class ExampleMaker:
    """Makes masked sequences from tagged texts.

    Args:
        tokenizer: The model's tokenizer.
        texts: Texts that examples are made of, and whose nouns take each other's place.
        max_length: Longest sequence, special tokens included.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[TaggedText], max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._known = set(tokenizer.get_vocab())
        nouns = {text.text[start:end] for text in texts for start, end in text.nouns}
        self._substitutes: defaultdict[bool, list[str]] = defaultdict(list)
        for noun in sorted(nouns):
            if self._is_entry(noun):
                self._substitutes[_has_final(noun)].append(noun)

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens, special ones included."""
        return self._max_length

    def lengths(self, texts: Sequence[TaggedText]) -> list[int]:
        """Tokens of each text before anything is cut."""
        if not texts:
            return []
        encoded = self._tokenizer([text.text for text in texts], return_attention_mask=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def randomly(self, text: TaggedText, rate: float, draw: random.Random) -> Masked:
        """Hide a share of the tokens: 80 % by the mask, 10 % by another token, 10 % left to see."""
        encoded = self._tokenizer(text.text, return_special_tokens_mask=True)
        ids = list(encoded["input_ids"])
        labels = [IGNORED] * len(ids)
        for at, special in enumerate(encoded["special_tokens_mask"]):
            if special or draw.random() >= rate:
                continue
            labels[at] = ids[at]
            fate = draw.random()
            if fate < 0.8:
                ids[at] = self._tokenizer.mask_token_id
            elif fate < 0.9:
                ids[at] = draw.randrange(len(self._tokenizer))
        return self._cut(ids, labels, draw)

    def entities(self, text: TaggedText, substitute: float, draw: random.Random) -> Masked | None:
        """Hide half of the later mentions of nouns, at least one; `None` where there is none."""
        content, mentions = text.text, [(start, end) for start, end in text.nouns]
        if draw.random() < substitute:
            content, mentions = self._exchanged(text, draw)
        ids, places = self._later_mentions(content, mentions)
        if not places:
            return None
        draw.shuffle(places)
        return self._hidden(ids, places[: max(1, len(places) // 2)], draw)

    def second_mentions(self, text: TaggedText) -> list[Masked]:
        """One sequence per noun whose later mention can be hidden alone; nothing is random."""
        ids, places = self._later_mentions(text.text, list(text.nouns))
        first: dict[int, int] = {}
        for at in places:
            first.setdefault(ids[at], at)
        draw = random.Random(0)  # noqa: S311
        return [self._hidden(ids, [at], draw) for at in first.values()]

    def _hidden(self, ids: list[int], places: Sequence[int], draw: random.Random) -> Masked:
        masked, labels = list(ids), [IGNORED] * len(ids)
        for at in places:
            labels[at], masked[at] = ids[at], self._tokenizer.mask_token_id
        return self._cut(masked, labels, draw)

    def _later_mentions(
        self, text: str, mentions: list[tuple[int, int]]
    ) -> tuple[list[int], list[int]]:
        """Token ids, and the places of nouns that stand earlier too and are one token here."""
        encoded = self._tokenizer(text, return_offsets_mapping=True)
        token_at = {tuple(offset): at for at, offset in enumerate(encoded["offset_mapping"])}
        places, seen = [], set()
        for start, end in sorted(mentions):
            noun = text[start:end]
            begins = start == 0 or text[start - 1].isspace()
            if noun in seen and begins and (start, end) in token_at:
                places.append(token_at[start, end])
            seen.add(noun)
        return list(encoded["input_ids"]), places

    def _exchanged(
        self, text: TaggedText, draw: random.Random
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text with most nouns exchanged, and the places of all nouns in it.

        A noun makes way for one that ends alike (with or without a final consonant), so that the
        particles behind it stay right.
        """
        nouns = dict.fromkeys(text.text[start:end] for start, end in text.nouns)
        others = {
            noun: draw.choice(self._substitutes[_has_final(noun)])
            for noun in nouns
            if self._is_entry(noun) and draw.random() >= _KEPT_NOUNS
        }
        content, place, mentions = "", 0, []
        for start, end in sorted(text.nouns):
            content += text.text[place:start]
            word = others.get(text.text[start:end], text.text[start:end])
            mentions.append((len(content), len(content) + len(word)))
            content += word
            place = end
        return content + text.text[place:], mentions

    def _cut(self, ids: list[int], labels: list[int], draw: random.Random) -> Masked:
        """A stretch of at most `max_length` tokens around one of the hidden ones."""
        if len(ids) <= self._max_length:
            return Masked(ids, labels)
        hidden = [at for at, label in enumerate(labels) if label != IGNORED] or [0]
        centre = draw.choice(hidden)
        low = max(0, min(centre - self._max_length // 2, len(ids) - self._max_length))
        return Masked(ids[low : low + self._max_length], labels[low : low + self._max_length])

    def _is_entry(self, noun: str) -> bool:
        return noun in self._known or f"▁{noun}" in self._known


class MaskedExamples(Dataset[Masked]):
    """`passes` times as many examples as `texts`, in another order and with other masks each time.

    Examples that hide mentions are drawn from the texts that have any.

    Args:
        maker: Makes the examples.
        texts: The texts.
        rules: What is masked.
        passes: Passes through the texts.
    """

    def __init__(
        self, maker: ExampleMaker, texts: Sequence[TaggedText], rules: MaskingRules, passes: int
    ) -> None:
        self._maker = maker
        self._texts = list(texts)
        self._with_entities = [text for text in texts if maker.second_mentions(text)]
        self._rules = rules
        self._passes = passes

    def __len__(self) -> int:
        return self._passes * len(self._texts)

    def __getitem__(self, index: int) -> Masked:
        number, at = divmod(index, len(self._texts))
        draw = random.Random(f"{self._rules.seed}/{number}/{at}")  # noqa: S311
        if self._with_entities and draw.random() < self._rules.entity_fraction:
            text = self._at(self._with_entities, number, at)
            masked = self._maker.entities(text, self._rules.substitute, draw)
            if masked is not None:
                return masked
        text = self._at(self._texts, number, at)
        return self._maker.randomly(text, self._rules.mask_rate, draw)

    def _at(self, texts: Sequence[TaggedText], number: int, at: int) -> TaggedText:
        """Text `at` of pass `number`: each pass takes every text once before any comes again."""
        order = _order(self._rules.seed, number, len(texts))
        return texts[order[at % len(order)]]


@lru_cache(maxsize=4)
def _order(seed: int, number: int, size: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}/{number}").shuffle(order)  # noqa: S311
    return order


class FixedExamples(Dataset[Masked]):
    """Examples that never change: the held-out ones."""

    def __init__(self, examples: Sequence[Masked]) -> None:
        self._examples = list(examples)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Masked:
        return self._examples[index]


def collate(examples: Sequence[Masked], padding: int, mask: int) -> dict[str, Tensor]:
    """A batch: `input_ids`, `attention_mask` and `labels`, each `[rows, longest]`.

    Where chance has hidden nothing in the whole batch, which then has no loss, the middle token of
    the first example is hidden.
    """
    if all(label == IGNORED for example in examples for label in example.labels):
        examples = [_middle_hidden(examples[0], mask), *examples[1:]]
    ids = [torch.tensor(example.ids) for example in examples]
    labels = [torch.tensor(example.labels) for example in examples]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=padding),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    }


def _middle_hidden(example: Masked, mask: int) -> Masked:
    middle = len(example.ids) // 2
    ids, labels = list(example.ids), list(example.labels)
    ids[middle], labels[middle] = mask, ids[middle]
    return Masked(ids, labels)


def _has_final(noun: str) -> bool:
    """Whether a Hangul word ends with a consonant, on which the form of particles depends."""
    return (ord(noun[-1]) - _HANGUL_START) % _FINALS > 0
