"""Check what a program left, and write the files that every trained model leaves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.teachers.collecting import Collected, collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out that validated")
    parser.add_argument("--goes-on", action="store_true", help="record a failed program, go on")
    parser.add_argument("--left", type=Path, required=True, help="folder of what it left")
    parser.add_argument("--outcome", type=Path, required=True, help="JSON of how it ended")
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--graph-failures", type=Path, required=True, help="crystals left out")
    parser.add_argument("--copies", type=Path, help="graph store of copies that it answered")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="folder of its answers")
    options = parser.parse_args()
    reason = collect(
        Collected(
            recipe=options.recipe_name,
            hyperparams=json_object(options.recipe, "--recipe"),
            seed=options.seed,
            holdout=options.holdout,
            goes_on=options.goes_on,
        ),
        left=options.left,
        outcome=options.outcome,
        targets=options.targets,
        split=options.split,
        graph_failures=options.graph_failures,
        copies=options.copies,
        model=options.model,
        predictions=options.predictions,
    )
    if reason is not None:
        name = options.recipe_name
        print(
            f"warning: {name} is left out: {reason}. Once it is mended, add --forcerun run_{name}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_program(main)
