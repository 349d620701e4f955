"""Run the smoke study (config/smoke.yaml): kill and resume a training, check that all fired."""

import argparse
import os

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from maintenance.smoke.job import run_smoke


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", action=AtLeastOne, default=os.cpu_count())
    options = parser.parse_args()
    run_smoke(options.cores, lambda line: print(line, flush=True))


if __name__ == "__main__":
    run_program(main)
