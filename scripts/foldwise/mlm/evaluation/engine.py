"""Ask a masked language model: longest first, by token budget, logits at the masks only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.questions import Question
from foldwise.network.devices import is_out_of_memory

TOP = 5
NEAREST = 50  # what the reference matching looks at
PROBABILITY_DIGITS = 5
SCORE_DIGITS = 4
# Padded tokens of a batch: on a CPU, larger ones leave the cache (measured: 512 to 2048 are alike,
# 8192 takes 40 % longer).
TOKEN_BUDGETS = {"cpu": 2048, "cuda": 65536}


@dataclass(frozen=True)
class Answer:
    """What a model says to one question.

    Attributes:
        id: The question.
        nearest: The 50 most probable vocabulary entries.
        probabilities: Probabilities of the first five, rounded.
        answer_probability: Probability of the right entry; 0 where the vocabulary has none.
        rank: Place of the right entry among all, from 1; 0 where the vocabulary has none.
        scores: Log-probability of each of the question's `targets`, in nats.
    """

    id: str
    nearest: tuple[int, ...]
    probabilities: tuple[float, ...]
    answer_probability: float
    rank: int
    scores: tuple[float, ...] = ()

    @property
    def top(self) -> tuple[int, ...]:
        """The five most probable vocabulary entries."""
        return self.nearest[:TOP]


def plan_batches(questions: Sequence[Question], token_budget: int) -> list[list[Question]]:
    """Batches of at most `token_budget` padded tokens, the longest questions first.

    The longest come first so that a lack of memory shows at once, and equal lengths stand
    together so that little is padded.
    """
    batches: list[list[Question]] = []
    width = 0
    for question in sorted(questions, key=lambda one: (-len(one.ids), one.id)):
        if not batches or (len(batches[-1]) + 1) * width > token_budget:
            batches.append([])
            width = len(question.ids)
        batches[-1].append(question)
    return batches


class Engine:
    """A model on a device.

    Args:
        model: Masked language model in evaluation mode.
        padding: Id of the padding token.
        device: Where it computes.
        precision: `float32`, or `bfloat16` for all but the head and the softmax: logits of 8 to 16
            are 0.0625 apart in it, and ties would go to the lower entry.
        log: Receives a line when memory was short.
        entries: Entries of the tokenizer; the model's vocabulary may be padded beyond them, and a
            padding entry is not an answer.
    """

    def __init__(
        self,
        model: Any,
        padding: int,
        device: torch.device,
        precision: str,
        log: Callable[[str], None] = lambda _: None,
        *,
        entries: int | None = None,
    ) -> None:
        self._entries = entries
        self._model = model.to(device=device, dtype=torch.float32)
        self._tolerance = 1e-4
        if precision != "float32" and model.base_model is not model:
            _compute_lower(model.base_model, device.type, getattr(torch, precision))
            self._tolerance = 1e-1
        self._padding = padding
        self._device = device
        self._log = log
        self._row_limit: int | None = None
        self._masks_only: bool | None = None

    def ask(self, batch: Sequence[Question]) -> list[Answer]:
        """Answers to a batch, in its order; halves the batch when memory runs out.

        Raises:
            FoldwiseError: Memory does not suffice for a single question, or an answer is NaN.
        """
        if self._row_limit is not None and len(batch) > self._row_limit:
            return self._halves(batch)
        try:
            return self._answers(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            raise FoldwiseError(
                f"memory does not suffice for one sequence of {len(batch[0].ids)} tokens",
                where=str(self._device),
                hint="Give a smaller --seq-len, or --device cpu.",
            )
        self._row_limit = (len(batch) + 1) // 2
        self._log(f"out of memory with {len(batch)} rows: going on with {self._row_limit}")
        return self._halves(batch)

    def _halves(self, batch: Sequence[Question]) -> list[Answer]:
        middle = (len(batch) + 1) // 2
        return [*self.ask(batch[:middle]), *self.ask(batch[middle:])]

    @torch.inference_mode()
    def _answers(self, batch: Sequence[Question]) -> list[Answer]:
        ids, attention, masks = self._tensors(batch)
        if self._masks_only is None:
            self._masks_only = self._check_masks_only(ids, attention, masks)
        logits = self._logits(ids, attention, masks)
        if not bool(torch.isfinite(logits).all()):
            raise FoldwiseError(
                "the model answers NaN or infinity",
                where=f"question {batch[0].id}",
                hint="Evaluate in float32 (--device cpu), or an earlier checkpoint.",
            )
        return [answer_of(row, question) for row, question in zip(logits.cpu(), batch, strict=True)]

    def _tensors(self, batch: Sequence[Question]) -> tuple[Tensor, Tensor, Tensor]:
        rows = [torch.tensor(question.ids) for question in batch]
        ids = pad_sequence(rows, batch_first=True, padding_value=self._padding)
        attention = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        masks = torch.tensor([question.mask for question in batch])
        return ids.to(self._device), attention.to(self._device), masks.to(self._device)

    def _logits(self, ids: Tensor, attention: Tensor, masks: Tensor) -> Tensor:
        """Logits at the masks `[rows, vocabulary]`, in float32."""
        rows = torch.arange(len(ids), device=self._device)
        if not self._masks_only:
            whole: Tensor = self._model(input_ids=ids, attention_mask=attention).logits
            return whole[rows, masks, : self._entries].float()
        with _only_masks(self._model, rows, masks):
            alone: Tensor = self._model(input_ids=ids, attention_mask=attention).logits
        return alone[:, 0, : self._entries].float()

    def _check_masks_only(self, ids: Tensor, attention: Tensor, masks: Tensor) -> bool:
        """Whether the head works on single positions: compared once, on one row, with the whole."""
        one = (ids[-1:], attention[-1:], masks[-1:])
        self._masks_only = False
        whole = self._logits(*one)
        self._masks_only = self._model.base_model is not self._model
        try:
            alone = self._logits(*one)
        except (RuntimeError, ValueError, IndexError, AttributeError, TypeError) as error:
            if is_out_of_memory(error):
                self._masks_only = None
                raise
            return False
        same = alone.shape == whole.shape and torch.allclose(
            alone, whole, rtol=self._tolerance, atol=self._tolerance
        )
        if not same:
            self._log("this architecture's head needs whole sequences: full logits are computed")
        return bool(same)


def answer_of(logits: Tensor, question: Question) -> Answer:
    """The answer that logits `[vocabulary]` give; ties go to the lower entry."""
    # Only what reaches the last place is sorted: sorting all takes longer than the model.
    least = torch.topk(logits, min(NEAREST, len(logits))).values[-1]
    near = torch.nonzero(logits >= least)[:, 0]
    order = torch.argsort(logits[near], descending=True, stable=True)
    nearest = near[order][:NEAREST].tolist()
    total = torch.logsumexp(logits, dim=0)
    right = list(question.answer_ids)
    rank, own = 0, 0.0
    if right:
        best = max(right, key=lambda entry: float(logits[entry]))
        own = float(torch.exp(logits[best] - total))
        rank = 1 + int((logits > logits[best]).sum())
    return Answer(
        id=question.id,
        nearest=tuple(nearest),
        probabilities=tuple(
            round(float(torch.exp(logits[entry] - total)), PROBABILITY_DIGITS)
            for entry in nearest[:TOP]
        ),
        answer_probability=round(own, PROBABILITY_DIGITS),
        rank=rank,
        scores=tuple(
            round(float(logits[entry] - total), SCORE_DIGITS) for entry in question.targets
        ),
    )


def _compute_lower(base: Any, device: str, dtype: torch.dtype) -> None:
    """Let all but the head compute in `dtype`; weights and what the head gets stay float32."""
    forward = base.forward

    def within(*given: Any, **named: Any) -> Any:
        with torch.autocast(device, dtype):
            output = forward(*given, **named)
        if isinstance(output, tuple):
            return (output[0].float(), *output[1:])
        output["last_hidden_state"] = output["last_hidden_state"].float()
        return output

    base.forward = within


@contextmanager
def _only_masks(model: Any, rows: Tensor, masks: Tensor) -> Iterator[None]:
    """Let the head see nothing but the mask positions: the projection is most of its cost."""

    def pick(_module: Any, _arguments: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][rows, masks].unsqueeze(1), *output[1:])
        output["last_hidden_state"] = output["last_hidden_state"][rows, masks].unsqueeze(1)
        return output

    handle = model.base_model.register_forward_hook(pick)
    try:
        yield
    finally:
        handle.remove()
