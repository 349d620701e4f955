"""Make a virtual environment of an environment file's pip part."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.teachers.environment import make_environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="environment file")
    parser.add_argument(
        "--out", type=output_folder(), required=True, help="folder of the environment"
    )
    parser.add_argument("--packages", type=Path, required=True, help="JSON of what came into it")
    options = parser.parse_args()
    make_environment(options.file, options.out, options.packages)


if __name__ == "__main__":
    run_program(main)
