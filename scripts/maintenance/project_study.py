"""Project the hours of a whole study from the speeds that a benchmark or a rehearsal measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from maintenance.bench.projection import StudyPlan, project
from maintenance.bench.rehearsed import project_rehearsed

DEFAULT = Path("config/config.yaml")


def needed(value: Path | None, flag: str) -> Path:
    """An option that another one asks for."""
    if value is None:
        raise FoldwiseError("it is missing", where=flag, hint="Give it too.")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--sizes", type=Path, help="…_sizes.json of a benchmark")
    source.add_argument(
        "--rehearsal", type=Path, help="results/rehearsal_{task}, made with --fit; needs --config"
    )
    parser.add_argument(
        "--compositions", type=Path, help="with --sizes: CSV with the composition of every cell"
    )
    parser.add_argument("--config", type=Path, help="with --rehearsal: file of the study")
    parser.add_argument("--cores", type=int, default=2, help="with --rehearsal: of each node")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--models", type=int, default=4, help="trainings per fold")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--nodes", type=int, default=1, help="such machines that train at once")
    parser.add_argument("--price", type=float, help="of a machine and hour, in any currency")
    parser.add_argument("--stages", type=Path, help="stages.csv of a rehearsal of the task")
    parser.add_argument("--out", type=Path, required=True, help="JSON; the page stands beside it")
    options = parser.parse_args()
    if options.rehearsal:
        study = parse_study(load_config([DEFAULT, needed(options.config, "--config")]))
        project_rehearsed(
            study,
            options.rehearsal,
            options.out,
            nodes=options.nodes,
            cores=options.cores,
            price=options.price,
        )
        return
    plan = StudyPlan(options.folds, options.models, options.epochs)
    project(
        options.sizes,
        needed(options.compositions, "--compositions"),
        plan,
        options.out,
        nodes=options.nodes,
        price=options.price,
        stages=options.stages,
    )


if __name__ == "__main__":
    run_program(main)
