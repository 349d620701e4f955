"""Combine recorded teachers on one fold, with a rule that is fitted on the other folds."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_json, write_parquet
from foldwise.common.output import output_file
from foldwise.submissions.combination import combine_fold, read_members, soft_targets
from foldwise.submissions.settings import RULES, BoosterOptions


def main() -> None:
    """Parse the command line and write one ensemble file and what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--names", required=True, nargs="+", help="names of the submissions")
    parser.add_argument("--predictions", required=True, nargs="+", help="as --names")
    parser.add_argument("--fold", required=True, type=int, help="the fold that is answered")
    parser.add_argument("--rule", required=True, choices=RULES)
    parser.add_argument("--booster", default="{}", help="settings of a booster, JSON")
    parser.add_argument("--rows", choices=("test", "train"), default="test",
                        help="test rows, or soft targets for the training rows")  # fmt: skip
    parser.add_argument("--out", type=output_file, required=True, help="Parquet file")
    parser.add_argument("--out-json", type=output_file, required=True, help="what was done")
    args = parser.parse_args()
    members = read_members(args.targets, dict(zip(args.names, args.predictions, strict=True)))
    options = BoosterOptions(**json.loads(args.booster))
    combine = combine_fold if args.rows == "test" else soft_targets
    table, done = combine(members, args.fold, args.rule, options)
    write_parquet(args.out, table)
    write_json(args.out_json, done)


if __name__ == "__main__":
    run_program(main)
