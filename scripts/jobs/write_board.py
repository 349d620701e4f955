"""Write LEADERBOARD.md, LEADERBOARD.csv and STEPS.csv."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.experiment.pages.board import write_board


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", required=True, nargs="+", help="folders, one per task")
    parser.add_argument("--census", required=True, help="census.json of the submissions")
    parser.add_argument("--absent", nargs="*", default=[], help="named in the config, not there")
    parser.add_argument("--out-markdown", type=output_file, required=True)
    parser.add_argument("--out-csv", type=output_file, required=True)
    parser.add_argument("--out-steps", type=output_file, required=True)
    args = parser.parse_args()
    out = (args.out_markdown, args.out_csv, args.out_steps)
    write_board(args.answers, args.census, args.absent, out)


if __name__ == "__main__":
    run_program(main)
