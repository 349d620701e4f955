"""Project the hours of a whole study from the training speeds that a benchmark has measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.bench.projection import StudyPlan, project
from foldwise.common.errors import run_program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=Path, required=True, help="…_sizes.json of a benchmark")
    parser.add_argument(
        "--compositions", type=Path, required=True, help="CSV with the composition of every cell"
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--models", type=int, default=4, help="trainings per fold")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--nodes", type=int, default=1, help="such machines that train at once")
    parser.add_argument("--price", type=float, help="of a machine and hour, in any currency")
    parser.add_argument("--stages", type=Path, help="stages.csv of a rehearsal of the task")
    parser.add_argument("--out", type=Path, required=True, help="JSON; the page stands beside it")
    options = parser.parse_args()
    plan = StudyPlan(options.folds, options.models, options.epochs)
    project(
        options.sizes,
        options.compositions,
        plan,
        options.out,
        nodes=options.nodes,
        price=options.price,
        stages=options.stages,
    )


if __name__ == "__main__":
    run_program(main)
