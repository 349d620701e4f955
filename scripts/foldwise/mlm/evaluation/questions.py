"""From samples and blanks to token sequences: one mask, in a window centred on both mentions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.matching import SUFFIX, reference_gap
from foldwise.mlm.evaluation.surfaces import Surfaces
from foldwise.mlm.samples.building import Sample
from foldwise.mlm.samples.lambada import Blank

_PROBE = "가"


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    Attributes:
        id: Id of the sample or the blank.
        ids: Token ids, special tokens included.
        mask: Index of the mask in `ids`.
        answer: The word that is masked.
        answer_ids: Vocabulary entries that are strictly right; empty where there is none.
        first_piece: First token of the answer where it stood in the text; for the lenient score.
        masking: `tokens` where the answer's own tokens were replaced, `string` where its
            characters were.
        lost_mention: The first mention did not fit into the window.
        cut: The window is shorter than the text.
        targets: Vocabulary entries whose log-probabilities at the mask are wanted.
    """

    id: str
    ids: tuple[int, ...]
    mask: int
    answer: str
    answer_ids: tuple[int, ...]
    first_piece: int
    masking: str
    lost_mention: bool
    cut: bool
    targets: tuple[int, ...] = ()


class QuestionMaker:
    """Turns samples into questions for one tokenizer and one sequence length.

    Args:
        tokenizer: The model's tokenizer.
        surfaces: Its vocabulary.
        seq_len: Longest sequence, special tokens included.

    Raises:
        FoldwiseError: The tokenizer gives no character offsets.
    """

    def __init__(self, tokenizer: Any, surfaces: Surfaces, seq_len: int) -> None:
        if not tokenizer.is_fast:
            raise FoldwiseError(
                f"{type(tokenizer).__name__} gives no character offsets",
                where="tokenizer",
                hint="Save a fast tokenizer (tokenizer.json) beside the model.",
            )
        self._tokenizer = tokenizer
        self._surfaces = surfaces
        special = tokenizer(_PROBE, return_special_tokens_mask=True)
        flags = special["special_tokens_mask"]
        first = flags.index(0)
        last = len(flags) - flags[::-1].index(0)
        self._head: list[int] = special["input_ids"][:first]
        self._tail: list[int] = special["input_ids"][last:]
        self._seq_len = seq_len
        self._room = seq_len - len(self._head) - len(self._tail)

    def of_sample(self, sample: Sample) -> Question:
        """The question of a coreference sample."""
        return self._question(
            sample.id,
            (sample.text[: sample.start], sample.text[sample.end :]),
            sample.noun,
            (sample.first_start, sample.first_end),
        )

    def of_blank(self, blank: Blank) -> Question:
        """The question of a Ko-LAMBADA row."""
        return self._question(blank.id, (blank.before, blank.after), blank.answer, None)

    def reference_of(self, item: Sample | Blank) -> Question:
        """The same question as the reference puts it: characters around a mask token."""
        ids, _, span = self._masked_string(*reference_gap(item, self._seq_len))
        low, high = _window(len(ids), span[0], span[0], self._room)
        return Question(
            id=f"{item.id}{SUFFIX}",
            ids=(*self._head, *ids[low:high], *self._tail),
            mask=len(self._head) + span[0] - low,
            answer=item.noun if isinstance(item, Sample) else item.answer,
            answer_ids=(),
            first_piece=-1,
            masking="string",
            lost_mention=False,
            cut=high - low < len(ids),
        )

    def word(self, word: str) -> tuple[int, ...]:
        """Tokens of a word at the start of an eojeol; none if one of them is unknown."""
        ids, offsets = self._encoded(f"{_PROBE} {word}")
        pieces = [one for one, (_, end) in zip(ids, offsets, strict=True) if end > len(_PROBE) + 1]
        return () if self._tokenizer.unk_token_id in pieces else tuple(pieces)

    def partly_masked(
        self, question: Question, name: str, length: int, seen: tuple[int, ...],
        targets: tuple[int, ...],
    ) -> Question:  # fmt: skip
        """`question` with a word of `length` tokens at the mask, of which the first are `seen`."""
        masks = [self._tokenizer.mask_token_id] * (length - len(seen))
        head, tail = len(self._head), len(question.ids) - len(self._tail)
        left, right = question.ids[head : question.mask], question.ids[question.mask + 1 : tail]
        surplus = max(0, len(left) + length + len(right) - self._room)
        # What does not fit is taken from the longer side.
        if len(right) >= len(left):
            right = right[: len(right) - surplus]
        else:
            left = left[surplus:]
        return replace(
            question,
            id=name,
            ids=(*self._head, *left, *seen, *masks, *right, *self._tail),
            mask=head + len(left) + len(seen),
            answer_ids=(),
            targets=targets,
        )

    def _question(
        self, name: str, around: tuple[str, str], answer: str, first: tuple[int, int] | None
    ) -> Question:
        before, after = around
        ids, offsets = self._encoded(f"{before}{answer}{after}")
        span = _tokens_of(offsets, len(before), len(before) + len(answer))
        first_piece = ids[span[0]]
        masking = "tokens"
        if not _aligned(offsets, span, len(before), len(before) + len(answer)):
            masking = "string"
            ids, offsets, span = self._masked_string(before, after)
        ids = [*ids[: span[0]], self._tokenizer.mask_token_id, *ids[span[1] :]]
        mask = span[0]
        mention = _tokens_of(offsets, *first) if first is not None else (mask, mask + 1)
        low, high = _window(len(ids), mask, mention[0], self._room)
        initial = not before or before[-1].isspace()
        return Question(
            id=name,
            ids=(*self._head, *ids[low:high], *self._tail),
            mask=len(self._head) + mask - low,
            answer=answer,
            answer_ids=tuple(self._surfaces.ids_of(answer, initial=initial)),
            first_piece=first_piece,
            masking=masking,
            lost_mention=mention[0] < low,
            cut=high - low < len(ids),
        )

    def _encoded(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return list(encoded["input_ids"]), list(encoded["offset_mapping"])

    def _masked_string(
        self, before: str, after: str
    ) -> tuple[list[int], list[tuple[int, int]], tuple[int, int]]:
        """Tokens of the text with the mask written into it, and the mask's own place."""
        ids, offsets = self._encoded(f"{before}{self._tokenizer.mask_token}{after}")
        # A mask token in the text itself would come first only if it stood before the gap.
        at = [
            index
            for index, (token, (_, end)) in enumerate(zip(ids, offsets, strict=True))
            if token == self._tokenizer.mask_token_id and end > len(before)
        ]
        return ids, offsets, (at[0], at[0] + 1)


def make_questions(
    maker: QuestionMaker, samples: Sequence[Sample], blanks: Sequence[Blank]
) -> list[Question]:
    """Questions of all samples, then of all blanks, then how the reference puts them.

    Where both read the same tokens, one question serves both.
    """
    exact = [*map(maker.of_sample, samples), *map(maker.of_blank, blanks)]
    items: list[Sample | Blank] = [*samples, *blanks]
    reference = map(maker.reference_of, items)
    own = [
        other
        for one, other in zip(exact, reference, strict=True)
        if (one.ids, one.mask) != (other.ids, other.mask)
    ]
    return [*exact, *own]


def _tokens_of(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Range of the tokens that cover any of the characters `start` to `end`."""
    touched = [index for index, (low, high) in enumerate(offsets) if low < end and high > start]
    return (touched[0], touched[-1] + 1) if touched else (0, 0)


def _aligned(
    offsets: Sequence[tuple[int, int]], span: tuple[int, int], start: int, end: int
) -> bool:
    """Whether tokens begin and end where the characters do (a leading space may belong to them)."""
    if span[0] == span[1]:
        return False
    first, last = offsets[span[0]][0], offsets[span[1] - 1][1]
    return first in (start, start - 1) and last == end


def _window(length: int, mask: int, mention: int, room: int) -> tuple[int, int]:
    """The stretch of `room` tokens centred on both mentions; on the mask where they lie too far."""
    if length <= room:
        return 0, length
    left = min(mention, mask)
    centre = (left + mask + 1) / 2 if mask + 1 - left <= room else mask
    low = min(max(0, round(centre - room / 2)), length - room)
    return low, low + room
