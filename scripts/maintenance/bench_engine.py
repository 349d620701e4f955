"""Measure this engine against stock CHGNet on the same work, alternating in one process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_file
from maintenance.bench.job import BenchPlan, run_bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="Matbench-format json.gz")
    parser.add_argument("--target", help="target column (default: the only one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32])
    parser.add_argument("--structures", type=int, default=192, help="drawn at random, seed 0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="of the whole fit")
    parser.add_argument("--threads", action=AtLeastOne, default=2)
    parser.add_argument("--compiled", action="store_true", help="compile on a CPU too")
    parser.add_argument(
        "--out", type=output_file, required=True, help="JSON; the table stands beside it"
    )
    options = parser.parse_args()
    run_bench(
        BenchPlan(
            dataset=options.dataset,
            target=options.target,
            device=options.device,
            batch_sizes=options.batch_sizes,
            structures=options.structures,
            rounds=options.rounds,
            epochs=options.epochs,
            threads=options.threads,
            compiled=options.compiled,
        ),
        options.out,
    )


if __name__ == "__main__":
    run_program(main)
