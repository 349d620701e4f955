"""Which prompts are answered together: those of one beginning, those of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.text.prompts import Prompt


@dataclass(frozen=True)
class Batch:
    """Prompts that are answered in one pass.

    Attributes:
        prompts: The prompts.
        shared: Tokens with which all prompts of this beginning begin; computed once.
    """

    prompts: tuple[Prompt, ...]
    shared: tuple[int, ...]

    @property
    def endings(self) -> list[tuple[int, ...]]:
        """What each prompt has behind the shared tokens; never empty."""
        return [prompt.tokens[len(self.shared) :] for prompt in self.prompts]


def plan_batches(prompts: Sequence[Prompt], batch_tokens: int) -> list[Batch]:
    """Batches in the order in which they are answered; each prompt in exactly one.

    Beginnings stand in the order of their tokens, so that the next one reuses what it has in
    common with the last. Inside of one, short prompts come first.

    Args:
        prompts: All prompts.
        batch_tokens: Tokens of a batch at most, the shared ones once; one prompt is always taken.
    """
    groups: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault(prompt.beginning, []).append(prompt)
    batches: list[Batch] = []
    for _, group in sorted(groups.items(), key=lambda item: item[1][0].tokens):
        shared = group[0].tokens[: shared_length([prompt.tokens for prompt in group])]
        waiting: list[Prompt] = []
        size = len(shared)
        for prompt in sorted(group, key=lambda one: (len(one.tokens), one.id)):
            width = len(prompt.tokens) - len(shared)
            if waiting and size + width > batch_tokens:
                batches.append(Batch(tuple(waiting), shared))
                waiting, size = [], len(shared)
            waiting.append(prompt)
            size += width
        batches.append(Batch(tuple(waiting), shared))
    return batches


def shared_length(texts: Sequence[Sequence[int]]) -> int:
    """Tokens that all texts begin with; at least one token of each is left over."""
    shortest = min(map(len, texts)) - 1
    first = texts[0]
    for place in range(shortest):
        if any(text[place] != first[place] for text in texts):
            return place
    return max(shortest, 0)


def check_lengths(prompts: Sequence[Prompt], answer_tokens: int, longest: int, model: str) -> int:
    """Length of the longest prompt in tokens.

    Raises:
        FoldwiseError: A prompt and its answer do not fit into the model: nothing is cut silently.
    """
    most = max(prompts, key=lambda prompt: len(prompt.tokens))
    if len(most.tokens) + answer_tokens > longest:
        raise FoldwiseError(
            f"its prompt of {len(most.tokens)} tokens and an answer of {answer_tokens} are more "
            f"than the {longest} that {model} takes",
            where=f"crystal {most.id!r}",
            hint="Take fewer shots, less detail, or a model that takes more.",
        )
    return len(most.tokens)
