"""Measure a recipe's prompts per second with and without reuse, and the tokens of each detail.

The plain way is what a short script does: transformers' `generate` with one prompt a call, which
begins with the first token each time. All ways answer prompts of the same recipe in rounds, one
after another, on the same threads. Seconds are the processor's: a machine that others use slows
down whoever is at work.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_csv
from foldwise.common.progress import ProgressLog
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.text.batches import Batch, plan_batches
from foldwise.text.decoding import NumberDecoder, character_tokens
from foldwise.text.description import DETAILS, crystal_text
from foldwise.text.fitting.features import length_batches
from foldwise.text.job import prepare
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DecimalFormat
from foldwise.text.options import add_job_options, job_of
from foldwise.text.prompts import Prompt
from foldwise.text.rows import prompts_of

GENERATE = "`generate`, one prompt a call, nothing kept"
ALONE = "one prompt a call, beginnings kept"
PLAIN_BATCHES = "batches, nothing kept"
ENGINE = "batches, beginnings kept"
COLUMNS = ("way", "prompts", "tokens_per_prompt", "seconds", "prompts/s", "times", "times_lowest",
           "times_highest", "same_answers")  # fmt: skip


T = TypeVar("T")


@dataclass
class _Tally:
    """One way, over all rounds."""

    prompts: int = 0
    tokens: int = 0
    seconds: float = 0.0
    rates: list[float] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    def add(self, prompts: Sequence[Prompt], seconds: float, answers: Sequence[str]) -> None:
        self.prompts += len(prompts)
        self.tokens += sum(len(prompt.tokens) for prompt in prompts)
        self.seconds += seconds
        self.rates.append(len(prompts) / seconds)
        self.answers |= {prompt.id: text for prompt, text in zip(prompts, answers, strict=True)}


def measure(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    number_format: DecimalFormat,
    *,
    batch_tokens: int,
    rounds: int,
    beginnings: int,
    sample: int,
    log: ProgressLog,
) -> pd.DataFrame:
    """Prompts per second of four ways.

    Ways that keep beginnings answer all prompts of some of them, a share in each round; those that
    keep nothing answer some prompts of the same round, for theirs do not depend on each other.

    Args:
        model: The language model.
        prompts: The prompts, of several beginnings.
        number_format: How answers are written.
        batch_tokens: Tokens of a batch at most.
        rounds: Rounds; at most as many as beginnings are taken.
        beginnings: How many of the prompts' beginnings are taken, evenly spaced.
        sample: Prompts that ways without anything kept answer in each round.
        log: Progress.

    Returns:
        One row per way, `COLUMNS`: seconds are of processor time, `times` is the median over
        rounds of the ratio to `generate`, `same_answers` counts those whose most probable answer
        is that of `generate`, of the prompts that both answered.
    """
    _warm_up(model, prompts[:2], number_format)
    tallies = {way: _Tally() for way in (GENERATE, ALONE, PLAIN_BATCHES, ENGINE)}
    for number, part in enumerate(_parts(plan_batches(prompts, batch_tokens), beginnings, rounds)):
        asked = [prompt for batch in part for prompt in batch.prompts]
        some = _evenly(asked, sample)
        alone = [Batch((prompt,), batch.shared) for batch in part for prompt in batch.prompts]
        _timed(tallies[GENERATE], some, partial(generated, model, some, number_format))
        _timed(tallies[ENGINE], asked, partial(_decoded, model, part, number_format))
        bare = _without_reuse(some, batch_tokens)
        ordered = [prompt for batch in bare for prompt in batch.prompts]
        _timed(tallies[PLAIN_BATCHES], ordered, partial(_decoded, model, bare, number_format))
        _timed(tallies[ALONE], asked, partial(_decoded, model, alone, number_format))
        rates = {way: tally.rates[-1] for way, tally in tallies.items()}
        log.step(number + 1, f"{rates[ENGINE] / rates[GENERATE]:.2f} times as fast")
    return pd.DataFrame([_row(way, tallies[GENERATE], tally) for way, tally in tallies.items()])


def detail_tokens(model: LanguageModel, crystals: Sequence[CrystalArrays]) -> pd.DataFrame:
    """How long texts of crystals are in each level of detail.

    Returns:
        Columns detail, crystals, median_tokens, longest_tokens.
    """
    rows = []
    for detail in DETAILS:
        lengths = [len(model.tokens(crystal_text(crystal, detail))) for crystal in crystals]
        rows.append([detail, len(lengths), float(np.median(lengths)), max(lengths)])
    return pd.DataFrame(rows, columns=["detail", "crystals", "median_tokens", "longest_tokens"])


def generated(
    model: LanguageModel, prompts: Sequence[Prompt], number_format: DecimalFormat
) -> list[str]:
    """Most probable answers in the format by transformers' `generate`, one prompt a call."""
    token = character_tokens(model)
    slots = [[token[character] for character in slot] for slot in number_format.slots]
    generate: Callable[..., Tensor] = model.network.generate  # type: ignore[assignment]
    answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt.tokens], device=model.device)
        start = ids.shape[1]
        out = generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=len(slots),
            do_sample=False,
            prefix_allowed_tokens_fn=lambda _row, sofar, start=start: slots[len(sofar) - start],
        )
        answers.append("".join(str(model.tokenizer.decode([one])) for one in out[0, start:]))
    return answers


def _timed(tally: _Tally, prompts: Sequence[Prompt], answer: Callable[[], list[str]]) -> None:
    started = time.process_time()
    answers = answer()
    tally.add(prompts, time.process_time() - started, answers)


def _decoded(
    model: LanguageModel, batches: Sequence[Batch], number_format: DecimalFormat
) -> list[str]:
    """Most probable answers of the engine; it finds the medians as well."""
    decoder = NumberDecoder(model, number_format)
    return [reply.plain_text for batch in batches for reply in decoder.answer(batch)]


def _evenly(things: Sequence[T], count: int) -> list[T]:
    places = np.linspace(0, len(things) - 1, min(count, len(things)))
    return [things[round(place)] for place in places.tolist()]


def _parts(batches: Sequence[Batch], count: int, rounds: int) -> list[list[Batch]]:
    """Batches of a round: whole beginnings, evenly dealt."""
    all_of_them = [
        list(group) for _, group in groupby(batches, key=lambda one: one.prompts[0].beginning)
    ]
    taken = _evenly(all_of_them, count)
    dealt = [taken[number::rounds] for number in range(min(rounds, len(taken)))]
    return [[batch for group in part for batch in group] for part in dealt]


def _without_reuse(prompts: Sequence[Prompt], batch_tokens: int) -> list[Batch]:
    """Batches by length whose prompts are computed whole."""
    rows = length_batches([prompt.tokens for prompt in prompts], batch_tokens)
    return [Batch(tuple(prompts[row] for row in batch), ()) for batch in rows]


def _warm_up(model: LanguageModel, prompts: Sequence[Prompt], number_format: DecimalFormat) -> None:
    """Once before the clock starts: first calls allocate and choose their kernels."""
    _decoded(model, [Batch(tuple(prompts), ())], number_format)
    generated(model, prompts[:1], number_format)


def _row(way: str, plain: _Tally, tally: _Tally) -> dict[str, object]:
    times = [own / other for own, other in zip(tally.rates, plain.rates, strict=True)]
    both = [name for name in plain.answers if name in tally.answers]
    same = sum(plain.answers[name] == tally.answers[name] for name in both)
    values = (
        way, tally.prompts, tally.tokens / tally.prompts, tally.seconds,
        tally.prompts / tally.seconds, statistics.median(times), min(times), max(times),
        f"{same} of {len(both)}",
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_job_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beginnings", type=int, default=3, help="of all, evenly spaced")
    parser.add_argument(
        "--sample", type=int, default=4, help="prompts per round for ways that keep nothing"
    )
    parser.add_argument("--speed", type=Path, required=True, help="CSV of prompts per second")
    parser.add_argument("--tokens", type=Path, required=True, help="CSV of tokens per detail")
    options = parser.parse_args()
    rows, model, maker = prepare(*job_of(options, Path(), Path()))
    write_csv(options.tokens, detail_tokens(model, list(rows.crystals.values())))
    speed = measure(
        model,
        prompts_of(rows, rows.of("held_out", "test"), maker),
        maker.format,
        batch_tokens=maker.settings.batch_tokens,
        rounds=options.rounds,
        beginnings=options.beginnings,
        sample=options.sample,
        log=ProgressLog(sys.stderr, options.rounds, name="prompts per second"),
    )
    write_csv(options.speed, speed)


if __name__ == "__main__":
    run_program(main)
