"""Predict the subsets of a fold with one trained model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.common.output import output_folder
from foldwise.network.options import add_machine_options
from foldwise.prediction.ahead import take
from foldwise.prediction.files import SUBSETS, PredictionFiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="the model's own hold-out")
    add_machine_options(parser)
    parser.add_argument(
        "--out", type=output_folder(), required=True, help="folder of {subset}.parquet"
    )
    options = parser.parse_args()
    files = PredictionFiles(
        model=options.model,
        graphs=options.graphs,
        split=options.split,
        subsets=tuple(options.subsets),
        holdout=options.holdout,
    )
    if options.device != "cuda":
        engine = json_object(options.engine, "--engine")
        if take(files, threads=options.threads, engine=engine, out=options.out):
            return
    from foldwise.network.machine import machine_of  # noqa: PLC0415 (PyTorch takes seconds to start)
    from foldwise.prediction.job import predict_subsets  # noqa: PLC0415

    predict_subsets(files, machine=machine_of(options), out=options.out)


if __name__ == "__main__":
    run_program(main)
