"""What the pre-flight said of each experiment or masked-LM run, beside what it took."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_text
from foldwise.tracking.preflight.said import said_and_taken, with_said_and_taken


def main() -> None:
    """Parse the command line; print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results",
        type=Path,
        nargs="+",
        default=[Path("results"), Path("results/mlm")],
        help="folders of results, as results/{run}",
    )
    parser.add_argument("--page", type=Path, help="write the table between its markers there")
    options = parser.parse_args()
    if options.page is None:
        print(said_and_taken(options.results))
        return
    page = options.page.read_text(encoding="utf-8")
    write_text(options.page, with_said_and_taken(page, options.results))


if __name__ == "__main__":
    run_program(main)
