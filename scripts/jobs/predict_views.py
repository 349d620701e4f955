"""Predict the test rows of a fold as the mean over several views of each crystal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.graphs.views import Strength
from foldwise.network.machine import machine_of
from foldwise.network.options import add_machine_options
from foldwise.prediction.views import predict_views


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--holdout", type=int, required=True, help="the model's own hold-out")
    parser.add_argument("--views", type=int, required=True, help="views per crystal")
    parser.add_argument("--displacement", type=float, required=True, help="Å, per coordinate")
    parser.add_argument("--strain", type=float, required=True, help="per strain component")
    parser.add_argument("--seed", type=int, required=True, help="decides which views")
    add_machine_options(parser)
    parser.add_argument("--out", type=output_folder(), required=True, help="folder of test.parquet")
    options = parser.parse_args()
    predict_views(
        options.model,
        graphs=options.graphs,
        split_path=options.split,
        holdout=options.holdout,
        count=options.views,
        strength=Strength(options.displacement, options.strain),
        seed=options.seed,
        machine=machine_of(options),
        out=options.out,
    )


if __name__ == "__main__":
    run_program(main)
