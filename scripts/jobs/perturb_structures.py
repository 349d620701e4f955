"""Write copies of a fold's training structures, for an ensemble to label."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.crystals.copies import Perturbation, write_copies
from foldwise.tasks.splits import FoldSplit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=Path, required=True, help="structures.npz of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--copies", type=int, required=True, help="copies per crystal")
    parser.add_argument("--displacement", type=float, required=True, help="Å, per coordinate")
    parser.add_argument("--strain", type=float, required=True, help="per strain component")
    parser.add_argument(
        "--substitution", type=float, default=0.0, help="probability that an element is replaced"
    )
    parser.add_argument(
        "--out", type=output_file, required=True, help="structures.npz of the copies"
    )
    options = parser.parse_args()
    how = Perturbation(options.copies, options.displacement, options.strain, options.substitution)
    write_copies(options.structures, FoldSplit.read(options.split).train, how, options.out)


if __name__ == "__main__":
    run_program(main)
