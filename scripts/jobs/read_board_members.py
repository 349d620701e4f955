"""Read every submission for every task of the leaderboard; refuse by name what cannot be read."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.submissions.board.members import read_members


def main() -> None:
    """Parse the command line, write the tables of members, and print what was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", required=True, nargs="+", help="names of the submissions")
    parser.add_argument("--submissions", required=True, nargs="+", help="their files, as --names")
    parser.add_argument("--tasks", required=True, nargs="+", help="official tasks")
    parser.add_argument("--targets", required=True, nargs="+", help="targets.parquet, as --tasks")
    parser.add_argument("--checksums", default="{}", help="expected sha256 by name, JSON")
    parser.add_argument("--out", type=output_folder(), required=True, help="folder to write")
    args = parser.parse_args()
    census = read_members(
        dict(zip(args.names, args.submissions, strict=True)),
        dict(zip(args.tasks, args.targets, strict=True)),
        json.loads(args.checksums),
        args.out,
    )
    for entry in census.refused:
        print(f"refused: {entry['name']} {entry['task'] or '(all tasks)'}: {entry['reason']}")


if __name__ == "__main__":
    run_program(main)
