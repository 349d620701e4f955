"""Choose the soft weight of a student by the validation MAE of one training per weight."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_json
from foldwise.common.output import output_file
from foldwise.training.search import choose_soft_weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="fit.json per weight")
    parser.add_argument("--out", type=output_file, required=True, help="JSON of the choice")
    options = parser.parse_args()
    write_json(options.out, choose_soft_weight(options.fits))


if __name__ == "__main__":
    run_program(main)
