"""Write one fold of a task: explicit lists of training, hold-out and test ids."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_parquet, write_json
from foldwise.common.output import output_file
from foldwise.tasks.cuts.rule import KINDS, SplitRule
from foldwise.tasks.splits import MATBENCH_SEED, N_FOLDS, make_fold


def main() -> None:
    """Parse the command line and write one fold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--task", required=True)
    parser.add_argument("--fold", required=True, type=int, help="number of the fold, from 0")
    parser.add_argument("--n-folds", type=int, default=N_FOLDS)
    parser.add_argument("--holdouts", type=int, default=N_FOLDS, help="parts of the training rows")
    parser.add_argument("--seed", type=int, default=MATBENCH_SEED)
    parser.add_argument("--kind", choices=KINDS, help="default: published folds, or random ones")
    parser.add_argument("--table", help="CSV or Parquet with id and --column")
    parser.add_argument("--column", help="units, times or fold numbers, by --kind")
    parser.add_argument("--out", type=output_file, required=True, help="fold_{fold}.json")
    args = parser.parse_args()
    groups = ["spacegroup"] if args.kind in {"spacegroup", "prototype"} else []
    targets = read_parquet(args.targets, ["id", "formula", *groups])
    split = make_fold(
        targets,
        args.task,
        args.fold,
        n_folds=args.n_folds,
        n_holdouts=args.holdouts,
        seed=args.seed,
        rule=SplitRule(args.kind, args.table, args.column) if args.kind else None,
    )
    write_json(args.out, split.as_json())


if __name__ == "__main__":
    run_program(main)
