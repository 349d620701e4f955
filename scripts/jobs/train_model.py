"""Train one model of a fold: teacher or student, as its recipe says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.common.output import shared_folder
from foldwise.network.machine import machine_of
from foldwise.network.options import add_machine_options
from foldwise.network.transform import TRANSFORMS
from foldwise.prediction.files import SUBSETS
from foldwise.study.recipe import parse_recipe
from foldwise.training.files import SeedJob, TrainingFiles
from foldwise.training.job import TrainingJob, train
from foldwise.training.search import adopted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out that validates")
    parser.add_argument("--transform", choices=TRANSFORMS, required=True)
    parser.add_argument("--extensive", action="store_true", help="the target is a sum over atoms")
    parser.add_argument("--soft-targets", type=Path, help="soft targets of a student")
    parser.add_argument("--soft-weight-from", type=Path, help="JSON of a search's choice")
    parser.add_argument("--copies", type=Path, help="graph store of the copies")
    parser.add_argument("--backbone", type=Path, help="checkpoint of the joint pretraining")
    parser.add_argument("--pretraining", type=Path, help="record of the joint pretraining")
    parser.add_argument(
        "--predict", nargs="+", choices=SUBSETS, default=[],
        help="subsets to predict, on a CPU, for predict.py to move",
    )  # fmt: skip
    add_machine_options(parser)
    parser.add_argument("--out", type=shared_folder, required=True, help="folder of the checkpoint")
    options = parser.parse_args()
    train(
        TrainingFiles(
            targets=options.targets,
            graphs=options.graphs,
            split=options.split,
            soft_targets=options.soft_targets,
            copies=options.copies,
        ),
        TrainingJob(
            recipe_name=options.recipe_name,
            recipe=adopted(
                parse_recipe(json_object(options.recipe, "--recipe"), where="--recipe"),
                options.soft_weight_from,
            ),
            transform=options.transform,
            extensive=options.extensive,
            subsets=tuple(options.predict),
            machine=machine_of(options),
        ),
        SeedJob(options.seed, options.holdout, options.out, options.backbone, options.pretraining),
    )


if __name__ == "__main__":
    run_program(main)
