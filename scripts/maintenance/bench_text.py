"""Measure a recipe's prompts per second with and without reuse, and the tokens of each detail."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_csv
from foldwise.common.progress import ProgressLog
from foldwise.text.benchmark import detail_tokens, measure
from foldwise.text.job import prepare
from foldwise.text.options import add_job_options, job_of
from foldwise.text.rows import prompts_of


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
