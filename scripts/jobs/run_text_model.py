"""Answer one fold by a language model: asked, shown examples, with a head, or fine-tuned."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.text.job import run_text_job
from foldwise.text.options import add_job_options, job_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_job_options(parser)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="folder of its answers")
    options = parser.parse_args()
    run_text_job(*job_of(options, options.model, options.predictions))


if __name__ == "__main__":
    run_program(main)
