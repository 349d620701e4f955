"""Write ablation.md, its table and its figure from the records of a study's experiments."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.experiment.pages.ablation import write_ablation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--out-markdown", type=output_file, required=True)
    parser.add_argument("--out-csv", type=output_file, required=True)
    parser.add_argument(
        "--out-figure", type=output_file, required=True, help="PNG; an SVG goes with it"
    )
    options = parser.parse_args()
    write_ablation(options.experiments, options.out_markdown, options.out_csv, options.out_figure)


if __name__ == "__main__":
    run_program(main)
