"""Describe the crystals of an official task by numbers, for the combination of its submissions."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_file
from foldwise.submissions.board.describing import describe_structures


def main() -> None:
    """Parse the command line and write one row per crystal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="official task")
    parser.add_argument("--structures", required=True, help="its dataset, or rows of it")
    parser.add_argument("--threads", action=AtLeastOne, default=1, help="processes")
    parser.add_argument("--out", type=output_file, required=True, help="Parquet file")
    args = parser.parse_args()
    count = describe_structures(args.structures, args.task, args.out, args.threads)
    print(f"{count:,} crystals of {args.task} described", file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
