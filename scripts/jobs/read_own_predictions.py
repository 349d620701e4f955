"""Take predictions of one's own, made anywhere, as a model of the study."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.teachers.own_predictions import OwnModel, read_own_predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe's options as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--table", type=Path, required=True, help="CSV of id and prediction")
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--graph-failures", type=Path, required=True, help="crystals left out")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="folder of its answers")
    options = parser.parse_args()
    read_own_predictions(
        OwnModel(
            recipe=options.recipe_name,
            hyperparams=json_object(options.recipe, "--recipe"),
            seed=options.seed,
        ),
        table=options.table,
        targets=options.targets,
        split=options.split,
        graph_failures=options.graph_failures,
        model=options.model,
        predictions=options.predictions,
    )


if __name__ == "__main__":
    run_program(main)
