"""What a program on one recipe and fold is told."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import json_object
from foldwise.network.machine import machine_of
from foldwise.network.options import add_machine_options
from foldwise.study.kinds import parse_any
from foldwise.study.outside.text import TextRecipe
from foldwise.text.rows import TextFiles, TextJob


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Data, recipe and machine."""
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


def job_of(
    options: argparse.Namespace, model: Path, predictions: Path
) -> tuple[TextFiles, TextJob]:
    """Files and job that a program's options describe.

    Args:
        options: As parsed.
        model: Folder of the model.
        predictions: Folder of its answers.

    Raises:
        FoldwiseError: The recipe has an unknown key or value, or is no language model's.
    """
    recipe = parse_any(json_object(options.recipe, "--recipe"), "--recipe")
    if not isinstance(recipe, TextRecipe):
        raise FoldwiseError(
            "it is no recipe of a language model", where="--recipe", hint="Give model: text."
        )
    files = TextFiles(
        targets=options.targets,
        structures=options.structures,
        card=options.card,
        split=options.split,
        graph_failures=options.graph_failures,
    )
    job = TextJob(
        recipe=options.recipe_name,
        settings=recipe,
        seed=options.seed,
        holdout=options.holdout,
        machine=machine_of(options),
        model=model,
        predictions=predictions,
    )
    return files, job
