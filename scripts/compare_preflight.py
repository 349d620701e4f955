"""What the pre-flight said of each experiment of a study, beside what it took."""

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.tracking.preflight.said import said_and_taken


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="results, or results/{run}"
    )
    print(said_and_taken(parser.parse_args().results))


if __name__ == "__main__":
    run_program(main)
