"""Convert every structure of a task once, into one flat graph store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_folder
from foldwise.graphs.conversion import build_store, failure_warning
from foldwise.graphs.store import CONTENT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=Path, required=True, help="structures.npz of the task")
    parser.add_argument("--copies", action="store_true", help="no test rows are among them")
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="processes")
    parser.add_argument(
        "--out", type=output_folder(*CONTENT), required=True, help="folder of the store"
    )
    options = parser.parse_args()
    warning = failure_warning(build_store(options.structures, options.out, options.workers))
    if warning is not None and not options.copies:
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
