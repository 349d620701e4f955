"""Prompts side by side in one sequence: what they share is computed once, and nothing is padded.

Behind the tokens of a shared beginning stand those of all endings, one after another. The mask lets
each see the beginning and its own tokens alone, and its positions go on from the beginning, so an
answer does not depend on what it was computed with (up to rounding). Keys and values of a beginning
are kept once, not per prompt (the idea of cascade inference, Ye et al. 2024, as one dense mask).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from foldwise.text.model import LanguageModel

_SHARED = -1
State = tuple[Tensor, dict[int, int]]


class Beginning:
    """Keys and values of the tokens that prompts begin with.

    Args:
        model: The language model.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._tokens: tuple[int, ...] = ()
        self._cache = DynamicCache()

    def cache_of(self, tokens: Sequence[int]) -> DynamicCache:
        """The cache of these tokens; what the last ones had alike is not computed again.

        What was read behind the last ones is forgotten.
        """
        known = 0
        for one, two in zip(self._tokens, tokens, strict=False):
            if one != two:
                break
            known += 1
        _shorten(self._cache, known)
        rest = tuple(tokens[known:])
        if rest:
            ids = torch.tensor([rest], device=self._model.device)
            _logits(self._model, ids, self._cache, torch.tensor([len(rest) - 1]))
        self._tokens = tuple(tokens)
        return self._cache


class Pack:
    """Prompts that are read side by side.

    Args:
        model: The language model.
        cache: Of the shared beginning; what is read is added.
        shared: Tokens of this beginning.
    """

    def __init__(self, model: LanguageModel, cache: DynamicCache, shared: int) -> None:
        self._model, self._cache, self._shared = model, cache, shared
        self._owner = torch.full((shared,), _SHARED, device=model.device)
        self._length: dict[int, int] = {}

    def read(self, texts: Mapping[int, Sequence[int]]) -> Tensor:
        """Read further tokens of some prompts, at least one of each.

        Args:
            texts: Tokens by number of the prompt.

        Returns:
            Logits behind the last token of each, in their order, shape [len(texts), vocabulary].
        """
        device = self._model.device
        starts = {row: self._length.get(row, self._shared) for row in texts}
        ids = torch.tensor([[token for text in texts.values() for token in text]], device=device)
        positions = torch.tensor(
            [[starts[row] + place for row, text in texts.items() for place in range(len(text))]],
            device=device,
        )
        asked = torch.tensor([row for row, text in texts.items() for _ in text], device=device)
        mask = self._mask(asked)
        last = torch.tensor([len(text) for text in texts.values()], device=device).cumsum(0) - 1
        self._owner = torch.cat([self._owner, asked])
        self._length |= {row: starts[row] + len(text) for row, text in texts.items()}
        return _logits(
            self._model, ids, self._cache, last, attention_mask=mask, position_ids=positions
        )

    def state(self) -> State:
        """What has been read so far."""
        return self._owner, dict(self._length)

    def back_to(self, state: State) -> None:
        """Forget what was read since."""
        self._owner, self._length = state[0], dict(state[1])
        _shorten(self._cache, len(self._owner))

    def _mask(self, asked: Tensor) -> Tensor:
        """What each new token sees, added to the scores, shape [1, 1, new, all]."""
        owner = torch.cat([self._owner, asked])
        places = torch.arange(len(owner), device=owner.device)
        earlier = places[None] <= places[len(self._owner) :, None]
        seen = (owner == _SHARED) | ((owner == asked[:, None]) & earlier)
        precision = self._model.network.dtype
        hidden = torch.zeros(seen.shape, dtype=precision, device=owner.device)
        return hidden.masked_fill(~seen, torch.finfo(precision).min)[None, None]


def _logits(
    model: LanguageModel,
    ids: Tensor,
    cache: DynamicCache,
    places: Tensor,
    **given: Any,
) -> Tensor:
    """Logits behind some tokens of one sequence, [places, vocabulary]; the cache grows."""
    chosen = "logits_to_keep" in inspect.signature(model.network.forward).parameters
    if chosen:
        given["logits_to_keep"] = places
    out = model.network(input_ids=ids, past_key_values=cache, use_cache=True, **given)
    logits: Tensor = out.logits[0].float()
    return logits if chosen else logits[places]


def _shorten(cache: DynamicCache, length: int) -> None:
    excess = cache.get_seq_length() - length
    if excess > 0:
        cache.crop(-excess)
