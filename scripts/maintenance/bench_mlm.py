"""Measure the engine against the naive way on one checkpoint and one sample file, on the CPU."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.mlm.evaluation.benchmark import measure
from foldwise.mlm.evaluation.engine import TOKEN_BUDGETS
from foldwise.mlm.evaluation.model_folder import load_masked_model, sequence_length
from foldwise.mlm.evaluation.questions import QuestionMaker, make_questions
from foldwise.mlm.evaluation.surfaces import read_surfaces
from foldwise.mlm.samples.files import read_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--seq-len", type=int)
    parser.add_argument("--token-budget", type=int, default=TOKEN_BUDGETS["cpu"])
    parser.add_argument("--max-samples", type=int, help="take the first so many")
    parser.add_argument("--threads", type=int, default=2)
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
