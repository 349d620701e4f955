"""Pretrain one network on several tasks of a fold together, without any of their test rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from foldwise.engine_settings import engine_from_json
from foldwise.errors import FoldwiseError, run_program
from foldwise.pretraining import TaskFiles, pretrain
from foldwise.recipe import parse_recipe


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
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", default="{}", help="what a GPU may do, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of backbone.safetensors")
    options = parser.parse_args()
    try:
        values = json.loads(options.recipe)
    except json.JSONDecodeError as error:
        raise FoldwiseError(
            f"no valid JSON ({error})", where="--recipe", hint="Write --recipe '{\"epochs\": 3}'."
        ) from error
    lists = (options.tasks, options.targets, options.graphs, options.splits, options.transforms)
    pretrain(
        [
            TaskFiles(*files, intensive=files[0] not in options.extensive)
            for files in zip(*lists, strict=True)
        ],
        options.groups,
        recipe=parse_recipe(values, where="--recipe"),
        seed=options.seed,
        holdout=options.holdout,
        device_name=options.device,
        threads=options.threads,
        engine=engine_from_json(options.engine),
        out=options.out,
    )


if __name__ == "__main__":
    run_program(main)
