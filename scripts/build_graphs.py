"""Convert every structure of a task once, into one flat graph store."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.graphs.conversion import build_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=Path, required=True, help="structures.npz of the task")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the store")
    options = parser.parse_args()
    build_store(options.structures, options.out, options.workers)


if __name__ == "__main__":
    run_program(main)
