"""Measure the engine against the naive way on one checkpoint and one sample file, on the CPU.

Naive is what a short script does: one sample a call, padded to the full sequence length, logits at
every position.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.mlm.evaluation.engine import TOKEN_BUDGETS, TOP, Answer, Engine, plan_batches
from foldwise.mlm.evaluation.model_folder import load_masked_model, sequence_length
from foldwise.mlm.evaluation.questions import Question, QuestionMaker, make_questions
from foldwise.mlm.evaluation.surfaces import read_surfaces
from foldwise.mlm.samples.files import read_samples


def naive_top(model: Any, question: Question, width: int, padding: int) -> list[int]:
    """The five most probable entries, from one padded sequence and its full logits.

    Args:
        model: Masked language model in evaluation mode, on the CPU.
        question: The question.
        width: Length to pad to.
        padding: Id of the padding token.
    """
    ids = torch.full((1, width), padding)
    attention = torch.zeros_like(ids)
    ids[0, : len(question.ids)] = torch.tensor(question.ids)
    attention[0, : len(question.ids)] = 1
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=attention).logits[0, question.mask]
    return [int(entry) for entry in logits.topk(TOP).indices]


def measure(
    model: Any, questions: Sequence[Question], *, width: int, padding: int, token_budget: int
) -> dict[str, Any]:
    """Seconds of both ways and how often they agree.

    Args:
        model: Masked language model in evaluation mode, on the CPU.
        questions: The questions.
        width: Sequence length that the naive way pads to.
        padding: Id of the padding token.
        token_budget: Padded tokens of an engine's batch.
    """
    engine = Engine(model, padding, torch.device("cpu"), "float32")
    batches = plan_batches(questions, token_budget)
    # Once before the clock starts: the first call of each shape allocates.
    engine.ask(batches[-1][-1:])
    naive_top(model, questions[0], width, padding)
    started = time.perf_counter()
    answers: dict[str, Answer] = {}
    for batch in batches:
        answers.update({answer.id: answer for answer in engine.ask(batch)})
    engine_seconds = time.perf_counter() - started
    started = time.perf_counter()
    naive = {question.id: naive_top(model, question, width, padding) for question in questions}
    naive_seconds = time.perf_counter() - started
    return {
        "questions": len(questions),
        "sequence_length": width,
        "mean_tokens": sum(len(one.ids) for one in questions) / len(questions),
        "engine_seconds": engine_seconds,
        "naive_seconds": naive_seconds,
        "speedup": naive_seconds / engine_seconds,
        "same_top1": sum(answers[name].top[0] == top[0] for name, top in naive.items()),
        "same_top5": sum(list(answers[name].top) == top for name, top in naive.items()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--seq-len", type=int)
    parser.add_argument("--token-budget", action=AtLeastOne, default=TOKEN_BUDGETS["cpu"])
    parser.add_argument("--max-samples", type=int, help="take the first so many")
    parser.add_argument("--threads", action=AtLeastOne, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    loaded = load_masked_model(options.checkpoint)
    width = sequence_length(loaded, options.seq_len, options.checkpoint)
    maker = QuestionMaker(loaded.tokenizer, read_surfaces(loaded.tokenizer), width)
    samples = read_samples(options.samples).samples[: options.max_samples]
    result = measure(
        loaded.model,
        make_questions(maker, samples, ()),
        width=width,
        padding=int(loaded.tokenizer.pad_token_id or 0),
        token_budget=options.token_budget,
    )
    print(json.dumps({"threads": options.threads, **result}, indent=2))


if __name__ == "__main__":
    run_program(main)
