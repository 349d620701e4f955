"""Report test rows whose formula or structure also stands in the training rows of their fold."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_parquet, write_csv, write_json
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_file
from foldwise.crystals.files import read_structures
from foldwise.tasks.duplicates.nearness import with_nearness
from foldwise.tasks.duplicates.structures import duplicate_pairs, summarize
from foldwise.tasks.splits import FoldSplit


def main() -> None:
    """Parse the command line and write both reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--structures", required=True, help="structures.npz of the task")
    parser.add_argument("--splits", required=True, nargs="+", help="fold_{fold}.json, each fold")
    parser.add_argument("--out-json", type=output_file, required=True, help="counts by fold")
    parser.add_argument("--out-csv", type=output_file, required=True, help="one row per pair")
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="processes that match")
    args = parser.parse_args()
    targets = read_parquet(args.targets, ["id", "formula", "target"])
    ids, crystals = read_structures(args.structures)
    splits = [FoldSplit.read(path) for path in args.splits]
    crystals_by_id = dict(zip(ids, crystals, strict=True))
    pairs = duplicate_pairs(targets, crystals_by_id, splits, args.workers)
    write_csv(args.out_csv, pairs)
    write_json(args.out_json, with_nearness(summarize(pairs, splits), targets, splits))


if __name__ == "__main__":
    run_program(main)
