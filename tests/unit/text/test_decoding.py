"""Answers of a network: with a shared beginning, batched, in the format; the same as without."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.text.batches import Batch, check_lengths, plan_batches
from foldwise.text.decoding import NumberDecoder
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DecimalFormat
from foldwise.text.prompts import Prompt, PromptMaker

FORMAT = DecimalFormat(signed=True, integer_digits=1, decimals=1)
WORDS = ["NaCl", "Fe2O3 with words", "K", "a much longer text about CsCl and its cell " * 2, "MgO"]


def prompts_of(maker: PromptMaker) -> list[Prompt]:
    examples = [("LiF", -3.1), ("KBr", -2.0)]
    alone = [maker.prompt(f"a{row}", word) for row, word in enumerate(WORDS)]
    return alone + [maker.prompt(f"b{row}", word, examples) for row, word in enumerate(WORDS)]


def all_logits(model: LanguageModel, prompt: Prompt, written: str) -> torch.Tensor:
    """Without cache, batch, padding: the plainest way."""
    ids = [*prompt.tokens, *model.tokens(written)]
    with torch.inference_mode():
        return model.network(torch.tensor([ids])).logits[0, -1].double()


def distribution(model: LanguageModel, prompt: Prompt) -> dict[str, float]:
    """Probability of every number of the format."""
    found = {"": 1.0}
    for slot in FORMAT.slots:
        grown = {}
        for text, mass in found.items():
            tokens = [model.tokens(character)[0] for character in slot]
            shares = all_logits(model, prompt, text)[tokens].softmax(0).tolist()
            grown |= {text + c: mass * share for c, share in zip(slot, shares, strict=True)}
        found = grown
    return found


def test_the_answer_is_the_median_of_the_whole_distribution(
    tiny: LanguageModel, maker: PromptMaker
) -> None:
    prompts = prompts_of(maker)[:3]
    decoder = NumberDecoder(tiny, FORMAT)
    replies = {
        prompt.id: reply
        for batch in plan_batches(prompts, 4096)
        for prompt, reply in zip(batch.prompts, decoder.answer(batch), strict=True)
    }
    for prompt in prompts:
        masses = distribution(tiny, prompt)
        assert len(masses) == 200
        ordered = sorted(masses, key=lambda text: (not text.startswith("-"), float(text)))
        below = np.cumsum([masses[text] for text in ordered])
        median = ordered[int(np.searchsorted(below, 0.5))]
        assert replies[prompt.id].output_text == median
        first = all_logits(tiny, prompt, "").softmax(0)
        signs = float(sum(first[tiny.tokens(sign)[0]] for sign in "+-"))
        assert replies[prompt.id].number_share == pytest.approx(signs, rel=1e-4)


def test_batches_and_shared_beginnings_change_no_answer(
    tiny: LanguageModel, maker: PromptMaker
) -> None:
    prompts = prompts_of(maker)
    together = NumberDecoder(tiny, FORMAT)
    answers = {}
    for batch in plan_batches(prompts, 100_000):
        for prompt, reply in zip(batch.prompts, together.answer(batch), strict=True):
            answers[prompt.id] = reply
    assert len(answers) == len(prompts)
    for prompt in prompts:
        alone = NumberDecoder(tiny, FORMAT).answer(Batch((prompt,), ()))[0]
        assert answers[prompt.id].output_text == alone.output_text
        assert answers[prompt.id].plain_text == alone.plain_text
        assert answers[prompt.id].number_share == pytest.approx(alone.number_share, rel=1e-4)
    assert len({reply.output_text for reply in answers.values()}) > 1


def test_plain_decoding_takes_the_most_probable_character(
    tiny: LanguageModel, maker: PromptMaker
) -> None:
    prompt = prompts_of(maker)[0]
    reply = NumberDecoder(tiny, FORMAT).answer(Batch((prompt,), ()))[0]
    text = ""
    for slot in FORMAT.slots:
        tokens = [tiny.tokens(character)[0] for character in slot]
        text += slot[int(all_logits(tiny, prompt, text)[tokens].argmax())]
    assert reply.plain_text == text


def test_own_words_are_those_of_transformers_generate(
    tiny: LanguageModel, maker: PromptMaker
) -> None:
    prompts = prompts_of(maker)
    decoder = NumberDecoder(tiny, FORMAT, free=True, answer_tokens=12)
    for batch in plan_batches(prompts, 100_000):
        for prompt, reply in zip(batch.prompts, decoder.answer(batch), strict=True):
            ids = torch.tensor([prompt.tokens])
            out = tiny.network.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
            )[0, ids.shape[1] :]
            assert reply.output_text == tiny.tokenizer.decode(out, skip_special_tokens=True)


def test_every_prompt_is_in_one_batch_within_the_budget(maker: PromptMaker) -> None:
    prompts = prompts_of(maker)
    batches = plan_batches(prompts, 700)
    asked = [prompt.id for batch in batches for prompt in batch.prompts]
    assert sorted(asked) == sorted(prompt.id for prompt in prompts)
    for batch in batches:
        assert all(prompt.tokens[: len(batch.shared)] == batch.shared for prompt in batch.prompts)
        assert all(batch.endings)
        size = len(batch.shared) + sum(map(len, batch.endings))
        assert size <= 700 or len(batch.prompts) == 1
    # All prompts of a beginning share the instructions at least, and stand next to each other.
    beginnings = [batch.prompts[0].beginning for batch in batches]
    assert len(list(itertools.groupby(beginnings))) == 2
    assert min(len(batch.shared) for batch in batches) > 100


def test_a_prompt_that_does_not_fit_is_named(maker: PromptMaker) -> None:
    prompts = prompts_of(maker)
    longest = max(len(prompt.tokens) for prompt in prompts)
    assert check_lengths(prompts, 5, longest + 5, "tiny") == longest
    with pytest.raises(FoldwiseError, match=r"crystal 'b3'.*more than the"):
        check_lengths(prompts, 5, longest + 4, "tiny")


def test_a_number_format_needs_single_characters(tiny: LanguageModel) -> None:
    class Pairs:
        """A tokenizer that knows no single digit, as some do."""

        def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
            return {"input_ids": [1, 2]}

    odd = LanguageModel("odd", tiny.network, Pairs(), tiny.device, 100)  # type: ignore[arg-type]
    with pytest.raises(FoldwiseError, match="is no token of odd"):
        NumberDecoder(odd, FORMAT)
