"""Train one model of a fold: teacher or student, as its recipe says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from foldwise.errors import FoldwiseError, run_program
from foldwise.recipe import parse_recipe
from foldwise.training import TrainingFiles, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out that validates")
    parser.add_argument("--transform", choices=("element_reference", "standardize"), required=True)
    parser.add_argument("--soft-targets", type=Path, help="soft targets of a student")
    parser.add_argument("--copies", type=Path, help="graph store of the perturbed copies")
    parser.add_argument("--backbone", type=Path, help="checkpoint of the joint pretraining")
    parser.add_argument("--pretraining", type=Path, help="record of the joint pretraining")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args()
    try:
        values = json.loads(options.recipe)
    except json.JSONDecodeError as error:
        raise FoldwiseError(
            f"no valid JSON ({error})", where="--recipe", hint="Write --recipe '{\"epochs\": 3}'."
        ) from error
    train(
        TrainingFiles(
            targets=options.targets,
            graphs=options.graphs,
            split=options.split,
            soft_targets=options.soft_targets,
            copies=options.copies,
            out=options.out,
            backbone=options.backbone,
            pretraining=options.pretraining,
        ),
        recipe_name=options.recipe_name,
        recipe=parse_recipe(values, where="--recipe"),
        seed=options.seed,
        holdout=options.holdout,
        transform_name=options.transform,
        device_name=options.device,
        threads=options.threads,
    )


if __name__ == "__main__":
    run_program(main)
