"""Average the predictions of an ensemble's members."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_parquet
from foldwise.common.output import output_file
from foldwise.prediction.averages import KINDS, combine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=Path, nargs="+", required=True, help="prediction files")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--out", type=output_file, required=True, help="Parquet file")
    options = parser.parse_args()
    write_parquet(options.out, combine(options.members, options.kind))


if __name__ == "__main__":
    run_program(main)
