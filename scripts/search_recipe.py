"""Search for a recipe on the hold-out of one fold; no test row is read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.network.machine import Machine
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.training.tuning import search, trial_table
from foldwise.training.tuning_files import seconds_of, tuning_of, write_pages

BASE = "config/config.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", default=[BASE], help="as snakemake --configfile")
    parser.add_argument("--recipe", default="baseline", help="recipe to improve")
    parser.add_argument("--budget", default="20min", help="time of training, e.g. 90s, 20min, 2h")
    parser.add_argument("--threads", action=AtLeastOne, default=os.cpu_count())
    options = parser.parse_args()
    study = parse_study(load_config([BASE, *(one for one in options.config if one != BASE)]))
    machine = Machine(threads=options.threads, engine=study.engine)
    config = " ".join(one for one in options.config if one != BASE)
    tuning = tuning_of(study, options.recipe, seconds_of(options.budget), machine, config)
    chosen = search(tuning)
    write_pages(tuning.out, chosen, trial_table(tuning), study.datasets[study.task]["unit"])
    print((Path(tuning.out) / "README.txt").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    run_program(main)
