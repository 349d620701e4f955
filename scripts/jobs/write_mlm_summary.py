"""Write summary.md, summary.csv and the learning curve of a run's evaluated checkpoints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.mlm.report.summary import write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--folders", type=Path, nargs="+", required=True,
                        help="result folders, in the order of the training")  # fmt: skip
    parser.add_argument("--compare", nargs="*", default=[], help="two names: before, after")
    parser.add_argument("--bootstrap", type=int, default=10_000)
    parser.add_argument("--command", default="")
    parser.add_argument("--out", type=Path, required=True, help="summary.md to write")
    options = parser.parse_args()
    write_summary(
        options.run,
        options.folders,
        compare=options.compare,
        resamples=options.bootstrap,
        out=options.out,
        command=options.command,
    )


if __name__ == "__main__":
    run_program(main)
