"""Download a submission from the public Matbench repository and check its checksum."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.submissions.download import fetch_submission


def main() -> None:
    """Parse the command line and download one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name of the submission, such as coGN")
    parser.add_argument("--sha256", help="expected checksum")
    parser.add_argument("--out", type=output_file, required=True, help="results.json.gz to write")
    args = parser.parse_args()
    fetch_submission(args.name, args.out, args.sha256)


if __name__ == "__main__":
    run_program(main)
