"""Pretrain one network on several tasks of a fold together, without any of their test rows."""

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
from foldwise.study.recipe import parse_recipe
from foldwise.training.joint.job import TaskFiles, pretrain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", required=True, help="the one it is for first")
    for name in ("targets", "graphs", "splits"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="as --tasks")
    parser.add_argument("--transforms", nargs="+", required=True, help="as --tasks")
    parser.add_argument("--extensive", nargs="*", default=[], help="tasks that are extensive")
    parser.add_argument("--groups", type=Path, required=True, help="which rows are one crystal")
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out of the first task")
    add_machine_options(parser)
    parser.add_argument(
        "--out", type=shared_folder, required=True, help="folder of backbone.safetensors"
    )
    options = parser.parse_args()
    lists = (options.tasks, options.targets, options.graphs, options.splits, options.transforms)
    pretrain(
        [
            TaskFiles(*files, intensive=files[0] not in options.extensive)
            for files in zip(*lists, strict=True)
        ],
        options.groups,
        recipe=parse_recipe(json_object(options.recipe, "--recipe"), where="--recipe"),
        seed=options.seed,
        holdout=options.holdout,
        machine=machine_of(options),
        out=options.out,
    )


if __name__ == "__main__":
    run_program(main)
