"""Write RESULTS.md (one line per run, the three best) and experiments.csv (worst first)."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.experiment.pages.summary import write_summary


def main() -> None:
    """Parse the arguments and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", required=True, nargs="+", help="experiment folders")
    parser.add_argument(
        "--out-markdown", type=output_file, required=True, help="RESULTS.md to write"
    )
    parser.add_argument(
        "--out-csv", type=output_file, required=True, help="experiments.csv to write"
    )
    arguments = parser.parse_args()
    write_summary(arguments.experiments, arguments.out_markdown, arguments.out_csv)


run_program(main)
