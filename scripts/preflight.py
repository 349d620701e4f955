"""Check a study before a long run: real steps, ETA by rule, memory, disk, shapes, stability."""

import argparse
import os
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.tracking.preflight.job import Flight, longest_hours, preflight, report

BASE = "config/config.yaml"


def main() -> None:
    """Parse the command line, run all checks, print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", default=[BASE], help="as snakemake --configfile")
    parser.add_argument("--experiment", required=True, help="name, e.g. e4")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--gpus", type=int, help="default: 1 where the machine has one, else 0")
    parser.add_argument("--profile", help="default: profiles/default with a GPU, else profiles/cpu")
    parser.add_argument("--max-hours", type=float, help="default: preflight.max_hours, or 24")
    parser.add_argument("--trial-seconds", type=float, default=90.0, help="longest trial training")
    options = parser.parse_args()
    config = load_config([BASE, *(path for path in options.config if path != BASE)])
    gpus = options.gpus if options.gpus is not None else int(Path("/dev/nvidia0").exists())
    profile = options.profile or ("profiles/default" if gpus else "profiles/cpu")
    flight = Flight(
        study=parse_study(config),
        experiment=options.experiment,
        arguments=[
            "--cores", str(options.cores), "--workflow-profile", profile,
            "--configfile", *options.config,
        ],
        cores=options.cores,
        gpus=gpus,
        trial_seconds=options.trial_seconds,
    )  # fmt: skip
    limit = options.max_hours or longest_hours(config)
    print(report(preflight(flight, limit)))


if __name__ == "__main__":
    run_program(main)
