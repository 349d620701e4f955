"""Predict the subsets of a fold with one trained model."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.engine_settings import engine_from_json
from foldwise.errors import run_program
from foldwise.inference import SUBSETS, predict_subsets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--graphs", type=Path, required=True, help="graph store")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="the model's own hold-out")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", default="{}", help="what a GPU may do, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of {subset}.parquet")
    options = parser.parse_args()
    predict_subsets(
        options.model,
        graphs=options.graphs,
        split_path=options.split,
        subsets=options.subsets,
        holdout=options.holdout,
        device_name=options.device,
        threads=options.threads,
        engine=engine_from_json(options.engine),
        out=options.out,
    )


if __name__ == "__main__":
    run_program(main)
