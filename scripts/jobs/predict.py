"""Predict the subsets of a fold with one trained model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.network.machine import add_machine_options, machine_of
from foldwise.prediction.job import SUBSETS, predict_subsets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="the model's own hold-out")
    add_machine_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of {subset}.parquet")
    options = parser.parse_args()
    predict_subsets(
        options.model,
        graphs=options.graphs,
        split_path=options.split,
        subsets=options.subsets,
        holdout=options.holdout,
        machine=machine_of(options),
        out=options.out,
    )


if __name__ == "__main__":
    run_program(main)
