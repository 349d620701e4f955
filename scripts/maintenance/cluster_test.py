"""Faults of a cluster, injected into a small study on a real Slurm of two nodes on this machine."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from maintenance.testbed.job import run_cluster_test, run_throughput
from maintenance.testbed.study import EPOCHS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="*", default=[], help="words of their names; none: all")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10_000), help="decides the moments"
    )
    parser.add_argument(
        "--throughput", type=int, metavar="SEEDS",
        help="no fault: train this many models per fold, and tell the share of waiting",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, help="of each training: more on a faster machine"
    )
    options = parser.parse_args()
    if options.throughput:
        run_throughput(options.throughput, options.epochs, lambda line: print(line, flush=True))
        return
    print(f"moments by seed {options.seed}")
    run_cluster_test(
        options.faults, options.seed, options.epochs, lambda line: print(line, flush=True)
    )


if __name__ == "__main__":
    run_program(main)
