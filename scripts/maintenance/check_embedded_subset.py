"""Check an embedded subset of an official task against its sources, and write its card.

Get the structures with: pip download --no-deps --no-binary :all: matminer==0.4.2
The official targets are a csv.gz of the whole task with the columns id, composition and target.
Writes {task}.card.json and README.md into the folder of the file, which itself is only read.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_json
from maintenance.embedded.card import write_readme
from maintenance.embedded.selection import read_source
from maintenance.embedded.subset import subset_card


def main() -> None:
    """Parse the command line, check the file, write its card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", required=True, type=Path, help="data/{task}.json.gz")
    parser.add_argument("--sdist", required=True, help="matminer-0.4.2.tar.gz")
    parser.add_argument("--targets", required=True, help="{task}.csv.gz")
    parser.add_argument("--target-name", required=True, help="such as 'formation energy'")
    args = parser.parse_args()
    card = subset_card(
        args.file, read_source(args.sdist), args.targets, target_name=args.target_name
    )
    name = args.file.name.removesuffix(".json.gz")
    write_json(args.file.with_name(f"{name}.card.json"), card)
    write_readme(args.file.parent)


if __name__ == "__main__":
    run_program(main)
