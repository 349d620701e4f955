"""Take one task out of a Matbench submission and compute its published fold scores again."""

import argparse
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_parquet, write_json, write_parquet
from foldwise.common.output import output_folder
from foldwise.submissions.predictions import read_submission, recorded_predictions, recorded_scores


def main() -> None:
    """Parse the command line and write predictions.parquet and scores.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submission", required=True, help="results.json.gz")
    parser.add_argument("--name", required=True, help="name of the submission")
    parser.add_argument("--task", required=True, help="official Matbench task")
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--sha256", help="expected checksum")
    parser.add_argument("--out", type=output_folder(), required=True, help="folder of both files")
    args = parser.parse_args()
    targets = read_parquet(args.targets, ["id", "target"]).set_index("id")["target"]
    submission = read_submission(args.submission, args.name, args.task, args.sha256)
    scores = recorded_scores(submission, targets)
    write_parquet(
        args.out / "predictions.parquet",
        recorded_predictions(submission, pd.Index(targets.index)),
    )
    write_json(args.out / "scores.json", scores)


if __name__ == "__main__":
    run_program(main)
