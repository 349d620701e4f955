"""One checkpoint on one sample set: from the files to a table with one row per sample."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.mlm.evaluation.answers import AnswerStore, cache_key
from foldwise.mlm.evaluation.engine import TOKEN_BUDGETS, Answer, Engine, plan_batches
from foldwise.mlm.evaluation.matching import SUFFIX, is_hit, noun_candidates
from foldwise.mlm.evaluation.model_folder import (
    MaskedModel,
    known_entries,
    load_masked_model,
    sequence_length,
)
from foldwise.mlm.evaluation.questions import Question, QuestionMaker, make_questions
from foldwise.mlm.evaluation.surfaces import Surfaces, read_surfaces
from foldwise.mlm.evaluation.words import WordPlan, candidate_words, plan_words
from foldwise.mlm.samples.building import Sample
from foldwise.mlm.samples.files import FrozenSamples, read_samples
from foldwise.mlm.samples.lambada import Blank, Lambada, read_lambada
from foldwise.network.devices import set_up_device
from foldwise.network.machine import Machine

_One = TypeVar("_One", Sample, Blank)


@dataclass(frozen=True)
class EvaluationSettings:
    """How a checkpoint is asked.

    Attributes:
        seq_len: Longest sequence; `None` takes the model's own.
        limit: Ask only so many samples, chosen by hash; the result is then marked partial.
        limit_seed: Decides which.
        token_budget: Padded tokens of a batch; `None` takes the device's usual number.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads.
        multi_token: `miss`, or `pll` to compare the nouns of a text by pseudo-log-likelihood too.
    """

    seq_len: int | None = None
    limit: int | None = None
    limit_seed: int = 0
    token_budget: int | None = None
    device: str = "auto"
    threads: int = 1
    multi_token: str = "miss"  # noqa: S105


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation.

    Attributes:
        checkpoint: The folder as it was given.
        seq_len: Length used.
        precision: `float32` or `bfloat16`.
        partial: Whether a limit left samples out.
        frozen: The sample set.
        lambada: The Ko-LAMBADA file, if there is one.
        samples: The samples that were asked.
        blanks: The Ko-LAMBADA rows that were asked.
        questions: Their questions, by id.
        answers: Their answers, by id.
        nouns: The first five nouns among the answers to each sample and row, by the reference.
        words: Pseudo-log-likelihood of the nouns of each sample's text, in nats; may be empty.
        surfaces: The model's vocabulary.
        tokenizer: The model's tokenizer.
        identity: Hash of weights, config and tokenizer.
        notes: What loading changed.
        parameters: Number of weights.
        key: Cache key of the answers.
    """

    checkpoint: str
    seq_len: int
    precision: str
    partial: bool
    frozen: FrozenSamples
    lambada: Lambada | None
    samples: list[Sample]
    blanks: list[Blank]
    questions: dict[str, Question]
    answers: dict[str, Answer]
    nouns: dict[str, list[str]]
    words: dict[str, dict[str, float]]
    surfaces: Surfaces
    tokenizer: Any
    identity: str
    notes: tuple[str, ...]
    parameters: int
    key: str


def evaluate(
    checkpoint: str,
    samples: str | Path,
    lambada: str | Path | None,
    settings: EvaluationSettings,
    cache: str | Path,
) -> Evaluation:
    """Ask a checkpoint about every sample; batches that an earlier call finished are not repeated.

    Args:
        checkpoint: Folder of the model.
        samples: Frozen sample file.
        lambada: Ko-LAMBADA file; where it is `None` or missing, the metric is absent.
        settings: How to ask.
        cache: Folder of the answers.

    Raises:
        FoldwiseError: An input is missing or broken.
    """
    frozen = read_samples(samples)
    blanks = read_lambada(lambada) if lambada is not None else None
    log = ProgressLog(sys.stderr, 1)
    if lambada is not None and blanks is None:
        log.line(f"{lambada}: no such file, so LAMBADA@1 and the composite score are null")
    device = set_up_device(Machine(settings.device, settings.threads))
    loaded = load_masked_model(checkpoint)
    seq_len = sequence_length(loaded, settings.seq_len, checkpoint)
    precision = "bfloat16" if device.type == "cuda" else "float32"
    asked = _limited(frozen.samples, settings)
    asked_blanks = _limited(blanks.blanks if blanks else [], settings)
    surfaces = read_surfaces(loaded.tokenizer)
    maker = QuestionMaker(loaded.tokenizer, surfaces, seq_len)
    questions = make_questions(maker, asked, asked_blanks)
    exact = questions[: len(asked) + len(asked_blanks)]
    cut = sum(question.cut for question in exact)
    if cut:
        log.line(
            f"{cut} of {len(exact)} texts are longer than {seq_len} tokens and are cut around "
            f"the question; in {sum(question.lost_mention for question in exact)} the first "
            "mention is lost"
        )
    decisive = {
        "seq_len": seq_len,
        "precision": precision,
        "limit": settings.limit,
        "limit_seed": settings.limit_seed if settings.limit else None,
        "multi_token": settings.multi_token,
    }
    key = cache_key(loaded.identity, frozen.sha256, blanks.sha256 if blanks else None, decisive)
    budget = settings.token_budget or TOKEN_BUDGETS[device.type]
    store = AnswerStore(Path(cache) / f"{key}.jsonl")
    parameters = sum(weight.numel() for weight in loaded.model.parameters())
    engine = Engine(
        loaded.model,
        _padding(loaded),
        device,
        precision,
        log.line,
        entries=known_entries(loaded.tokenizer),
    )
    words = WordPlan([], {})
    if settings.multi_token == "pll":  # noqa: S105
        candidates = candidate_words(asked, settings.threads)
        words = plan_words(maker, questions[: len(asked)], candidates)
    answers = ask_all(engine, [*words.questions, *questions[len(words.steps) :]], budget, store)
    nearest = {one.id: answers.get(f"{one.id}{SUFFIX}", answers[one.id]).nearest for one in exact}
    return Evaluation(
        checkpoint=os.path.normpath(checkpoint),
        seq_len=seq_len,
        precision=precision,
        partial=len(asked) < len(frozen.samples),
        frozen=frozen,
        lambada=blanks,
        samples=asked,
        blanks=asked_blanks,
        questions={question.id: question for question in questions},
        answers=answers,
        nouns=noun_candidates(nearest, surfaces.text),
        words=words.scores(answers),
        surfaces=surfaces,
        tokenizer=loaded.tokenizer,
        identity=loaded.identity,
        notes=loaded.notes,
        parameters=parameters,
        key=key,
    )


def ask_all(
    engine: Engine, questions: Sequence[Question], token_budget: int, store: AnswerStore
) -> dict[str, Answer]:
    """Answers to all questions, batch by batch, each batch written before the next is asked."""
    answers = store.read()
    batches = plan_batches(questions, token_budget)
    waiting = [batch for batch in batches if any(one.id not in answers for one in batch)]
    log = ProgressLog(sys.stderr, len(batches), done=len(batches) - len(waiting))
    if answers:
        log.line(f"{len(answers)} of {len(questions)} answers are known already")
    failures = 0
    for number, batch in enumerate(waiting, start=len(batches) - len(waiting) + 1):
        fresh = engine.ask(batch)
        store.append(fresh)
        answers.update({answer.id: answer for answer in fresh})
        failures += sum(not question.answer_ids for question in batch if "/" not in question.id)
        log.step(
            number,
            f"{len(answers)}/{len(questions)} answers  {failures} failure(s): no such vocabulary "
            "entry",
        )
    return {question.id: answers[question.id] for question in questions}


def _limited(items: Sequence[_One], settings: EvaluationSettings) -> list[_One]:
    """A sample chosen by hash, in the set's order: it spans all sources, unlike the first ones."""
    if settings.limit is None or settings.limit >= len(items):
        return list(items)
    if settings.limit < 1:
        raise FoldwiseError("it must be positive", where="--limit", hint="Give e.g. --limit 200.")
    ranked = sorted(
        items,
        key=lambda one: hashlib.sha256(f"{settings.limit_seed}\x1f{one.id}".encode()).digest(),
    )
    kept = {one.id for one in ranked[: settings.limit]}
    return [one for one in items if one.id in kept]


def _padding(loaded: MaskedModel) -> int:
    padding = loaded.tokenizer.pad_token_id
    return 0 if padding is None else int(padding)


def sample_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per coreference sample, worst first: misses, then low probability of the answer."""
    rows = [_sample_row(evaluation, sample) for sample in evaluation.samples]
    return pd.DataFrame(rows).sort_values(
        ["hit1", "hit5", "answer_probability", "id"], ignore_index=True
    )


def blank_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per Ko-LAMBADA row, worst first; no rows where the set is absent."""
    rows = [{**asdict(blank), **_scored(evaluation, blank.id)} for blank in evaluation.blanks]
    table = pd.DataFrame(rows, columns=None if rows else ["id", "hit1", "reference_hit1"])
    return table.sort_values(["hit1", "id"], ignore_index=True)


def _sample_row(evaluation: Evaluation, sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "text_id": sample.text_id,
        "source": sample.source,
        "noun": sample.noun,
        **_scored(evaluation, sample.id),
        **_compared(evaluation.words.get(sample.id), sample.noun),
        "floor_hit1": sample.noun in sample.floor[:1],
        "floor_hit5": sample.noun in sample.floor,
        "noun_frequency": _bin(sample.noun_count, (3, 9, 29)),
        "follows": sample.follows,
        "distance": _bin(sample.distance, (3, 9, 24)),
        "third_mention": "visible" if sample.mentions_after else "none",
        "noun_count": sample.noun_count,
        "distance_eojeols": sample.distance,
    }


def _scored(evaluation: Evaluation, name: str) -> dict[str, Any]:
    question, answer = evaluation.questions[name], evaluation.answers[name]
    top = [evaluation.surfaces.shown(entry) for entry in answer.top]
    nouns = evaluation.nouns[name]
    return {
        "prediction": top[0],
        "top5": " ".join(top),
        "hit1": answer.top[0] in question.answer_ids,
        "hit5": any(entry in question.answer_ids for entry in answer.top),
        "reference_nouns": " ".join(nouns),
        "reference_hit1": is_hit(question.answer, nouns[:1]),
        "reference_hit5": is_hit(question.answer, nouns),
        "in_vocabulary": bool(question.answer_ids),
        "first_piece1": answer.top[0] == question.first_piece,
        "first_piece5": question.first_piece in answer.top,
        "answer_probability": answer.answer_probability,
        "rank": answer.rank,
        "top_probability": answer.probabilities[0],
        "masking": question.masking,
        "lost_mention": question.lost_mention,
        "cut": question.cut,
        "tokens": len(question.ids),
    }


def _compared(words: dict[str, float] | None, noun: str) -> dict[str, Any]:
    """Whether the noun is the likeliest word of its text; with a tie or an unknown token not."""
    if words is None:
        return {}
    own = words.get(noun)
    best = max((score for word, score in words.items() if word != noun), default=float("-inf"))
    return {
        "pll_hit": own is not None and own > best,
        "pll_candidates": len(words),
        "pll_answer": own,
    }


def _bin(value: int, edges: tuple[int, int, int]) -> str:
    """The range that holds `value`, e.g. `4-9`; names sort in the order of the ranges."""
    low = 1
    for edge in edges:
        if value <= edge:
            return f"{low:02d}-{edge:02d}"
        low = edge + 1
    return f"{low:02d}+"
