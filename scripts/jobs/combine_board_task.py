"""Combine the members of one task by every rule, and choose one for each fold on the others."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.submissions.board.task import combine_task


def main() -> None:
    """Parse the command line and write the answers of every rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="official task")
    parser.add_argument("--members", required=True, help="members.parquet of the task")
    parser.add_argument("--beside", nargs="*", default=[], help="members.parquet of other tasks")
    parser.add_argument("--structures", help="table of the task's crystals")
    parser.add_argument("--classes", action="store_true", help="the target is a class")
    parser.add_argument("--low", type=float, help="smallest value that physics allows")
    parser.add_argument("--out", type=output_folder(), required=True, help="folder to write")
    args = parser.parse_args()
    combine_task(
        args.members,
        args.task,
        args.out,
        classification=args.classes,
        low=args.low,
        others=args.beside,
        structures=args.structures,
    )


if __name__ == "__main__":
    run_program(main)
