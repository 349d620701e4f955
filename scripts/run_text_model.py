"""Answer one fold by a language model: asked, shown examples, with a head, or fine-tuned."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.common.settings import checked
from foldwise.network.machine import add_machine_options, machine_of
from foldwise.study.text import TextSettings
from foldwise.text.job import TextFiles, TextJob, run_text_job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--structures", type=Path, required=True, help="structures.npz of the task")
    parser.add_argument("--card", type=Path, required=True, help="card.json of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--graph-failures", type=Path, help="crystals left out")
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out that validates")
    add_machine_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of its files")
    options = parser.parse_args()
    run_text_job(
        TextFiles(
            targets=options.targets,
            structures=options.structures,
            card=options.card,
            split=options.split,
            graph_failures=options.graph_failures,
        ),
        TextJob(
            recipe=options.recipe_name,
            settings=checked(
                TextSettings, json_object(options.recipe, "--recipe"), options.recipe_name
            ),
            seed=options.seed,
            holdout=options.holdout,
            machine=machine_of(options),
            out=options.out,
        ),
    )


if __name__ == "__main__":
    run_program(main)
