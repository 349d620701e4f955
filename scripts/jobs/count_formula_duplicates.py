"""Count test rows whose formula also stands in the training rows of their fold."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_parquet, write_json
from foldwise.common.output import output_file
from foldwise.tasks.duplicates.nearness import count_formula_duplicates, with_nearness
from foldwise.tasks.splits import FoldSplit


def main() -> None:
    """Parse the command line and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--splits", required=True, nargs="+", help="fold_{fold}.json, each fold")
    parser.add_argument("--out", type=output_file, required=True, help="duplicates.json")
    args = parser.parse_args()
    targets = read_parquet(args.targets, ["id", "formula"])
    splits = [FoldSplit.read(path) for path in args.splits]
    report = count_formula_duplicates(targets, splits)
    write_json(args.out, with_nearness(report, targets, splits))


if __name__ == "__main__":
    run_program(main)
