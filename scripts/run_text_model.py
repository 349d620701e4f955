"""Answer one fold by a language model: asked, shown examples, with a head, or fine-tuned."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.files import json_object
from foldwise.network.machine import add_machine_options, machine_of
from foldwise.study.kinds import parse_any
from foldwise.study.outside.text import TextRecipe
from foldwise.text.job import run_text_job
from foldwise.text.rows import TextFiles, TextJob


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
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="folder of its answers")
    options = parser.parse_args()
    recipe = parse_any(json_object(options.recipe, "--recipe"), "--recipe")
    if not isinstance(recipe, TextRecipe):
        raise FoldwiseError(
            "it is no recipe of a language model", where="--recipe", hint="Give model: text."
        )
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
            settings=recipe,
            seed=options.seed,
            holdout=options.holdout,
            machine=machine_of(options),
            model=options.model,
            predictions=options.predictions,
        ),
    )


if __name__ == "__main__":
    run_program(main)
