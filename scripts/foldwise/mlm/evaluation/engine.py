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
PROBABILITY_DIGITS = 5
# Padded tokens of a batch: on a CPU, larger ones leave the cache (measured: 512 to 2048 are alike,
# 8192 takes 40 % longer).
TOKEN_BUDGETS = {"cpu": 2048, "cuda": 65536}


@dataclass(frozen=True)
class Answer:
    """What a model says to one question.

    Attributes:
        id: The question.
        top: The five most probable vocabulary entries.
        probabilities: Their probabilities, rounded.
        answer_probability: Probability of the right entry; 0 where the vocabulary has none.
        rank: Place of the right entry among all, from 1; 0 where the vocabulary has none.
    """

    id: str
    top: tuple[int, ...]
    probabilities: tuple[float, ...]
    answer_probability: float
    rank: int


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
        precision: `float32` or `bfloat16`.
        log: Receives a line when memory was short.
    """

    def __init__(
        self,
        model: Any,
        padding: int,
        device: torch.device,
        precision: str,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._model = model.to(device=device, dtype=getattr(torch, precision))
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
            return whole[rows, masks].float()
        with _only_masks(self._model, rows, masks):
            alone: Tensor = self._model(input_ids=ids, attention_mask=attention).logits
        return alone[:, 0].float()

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
        tolerance = 1e-4 if self._model.dtype == torch.float32 else 1e-1
        same = alone.shape == whole.shape and torch.allclose(
            alone, whole, rtol=tolerance, atol=tolerance
        )
        if not same:
            self._log("this architecture's head needs whole sequences: full logits are computed")
        return bool(same)


def answer_of(logits: Tensor, question: Question) -> Answer:
    """The answer that logits `[vocabulary]` give; ties go to the lower entry."""
    # Only what reaches the fifth place is sorted: sorting all takes longer than the model.
    least = torch.topk(logits, min(TOP, len(logits))).values[-1]
    near = torch.nonzero(logits >= least)[:, 0].tolist()
    top = sorted(near, key=lambda entry: (-float(logits[entry]), entry))[:TOP]
    total = torch.logsumexp(logits, dim=0)
    right = list(question.answer_ids)
    rank, own = 0, 0.0
    if right:
        best = max(right, key=lambda entry: float(logits[entry]))
        own = float(torch.exp(logits[best] - total))
        rank = 1 + int((logits > logits[best]).sum())
    return Answer(
        id=question.id,
        top=tuple(top),
        probabilities=tuple(
            round(float(torch.exp(logits[entry] - total)), PROBABILITY_DIGITS) for entry in top
        ),
        answer_probability=round(own, PROBABILITY_DIGITS),
        rank=rank,
    )


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
