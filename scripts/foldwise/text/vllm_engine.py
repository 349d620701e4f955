"""vLLM as engine: its own batching and prefix cache, the same prompts, replies and logs.

Numbers are drawn from the model's distribution inside of the task's format, and the answer is their
median, since vLLM's interface gives tokens and not the distribution of each character.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.study.outside.text import TextRecipe
from foldwise.text.batches import Batch
from foldwise.text.model import LanguageModel, model_place
from foldwise.text.numbers import SIGNS, DecimalFormat
from foldwise.text.replies import FORMAT, Reply

DRAWS = 63
"""Numbers that are drawn per prompt; odd, so that one of them is the median."""


class VllmEngine:
    """Answers batches by vLLM.

    Args:
        network: vLLM's `LLM`.
        sampling: Its `SamplingParams`: of numbers in the format, or of the model's own words.
        plain: `SamplingParams` of the most probable number.
        number_format: How answers are written; `None` for the model's own words.
    """

    def __init__(
        self, network: Any, sampling: Any, plain: Any, number_format: DecimalFormat | None
    ) -> None:
        self._network, self._sampling, self._plain = network, sampling, plain
        self._format = number_format

    def answer(self, batch: Batch) -> list[Reply]:
        """Reply to every prompt of a batch, in its order."""
        asked = [{"prompt_token_ids": list(prompt.tokens)} for prompt in batch.prompts]
        drawn = self._network.generate(asked, self._sampling, use_tqdm=False)
        if self._format is None:
            return [self._own_words(one.outputs[0]) for one in drawn]
        plain = self._network.generate(asked, self._plain, use_tqdm=False)
        return [
            Reply(
                output_text=self._format.text(
                    statistics.median(float(number.text) for number in many.outputs)
                ),
                plain_text=best.outputs[0].text,
                tokens=sum(len(number.token_ids) for number in many.outputs),
                finish_reason=FORMAT,
            )
            for many, best in zip(drawn, plain, strict=True)
        ]

    @staticmethod
    def _own_words(said: Any) -> Reply:
        return Reply(said.text, said.text, len(said.token_ids), str(said.finish_reason))


def vllm_engine(
    model: LanguageModel,
    settings: TextRecipe,
    number_format: DecimalFormat,
    longest: int,
    answer_tokens: int,
) -> VllmEngine:
    """Start vLLM.

    Args:
        model: The language model; vLLM loads it again from the same place.
        settings: The recipe: GPUs, share of their memory.
        number_format: How answers are written.
        longest: Tokens of the longest prompt and its answer: vLLM keeps memory for no more.
        answer_tokens: Tokens of an answer in the model's own words at most.

    Raises:
        FoldwiseError: vLLM is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise FoldwiseError(
            "vLLM is not installed",
            where="engine",
            hint="Install it beside this project's packages, or take engine: transformers.",
        )
    vllm, sampling = (
        importlib.import_module("vllm"),
        importlib.import_module("vllm.sampling_params"),
    )
    network = vllm.LLM(
        model=model_place(model.name),
        tensor_parallel_size=settings.tensor_parallel_size,
        gpu_memory_utilization=settings.memory_share,
        max_model_len=longest,
        enable_prefix_caching=True,
        seed=0,
    )
    if settings.decoding == "free":
        words = vllm.SamplingParams(temperature=0.0, max_tokens=answer_tokens)
        return VllmEngine(network, words, words, None)
    kept = {
        "max_tokens": len(number_format.slots),
        "structured_outputs": sampling.StructuredOutputsParams(regex=pattern_of(number_format)),
    }
    draws = vllm.SamplingParams(n=DRAWS, temperature=1.0, seed=0, **kept)
    plain = vllm.SamplingParams(temperature=0.0, **kept)
    return VllmEngine(network, draws, plain, number_format)


def pattern_of(number_format: DecimalFormat) -> str:
    """The format as a regular expression."""
    sign = f"[{SIGNS}]" if number_format.signed else ""
    return rf"{sign}[0-9]{{{number_format.integer_digits}}}\.[0-9]{{{number_format.decimals}}}"
