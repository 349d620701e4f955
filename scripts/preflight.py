"""Check a study before a long run: real steps, ETA by rule, memory, disk, shapes, stability."""

import argparse
import os
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.estimate.crystals import Flight, longest_hours, preflight
from foldwise.estimate.masked_lm import MlmFlight, mlm_preflight
from foldwise.estimate.report import report
from foldwise.estimate.trial import Trial
from foldwise.mlm.settings import DEFAULT_CONFIG, read_study
from foldwise.study.config import parse_study
from foldwise.study.files import load_config

BASE = "config/config.yaml"


def main() -> None:
    """Parse the command line, run all checks, print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", default=[BASE], help="as snakemake --configfile")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--experiment", nargs="+", help="names, e.g. e4; or all")
    asked.add_argument("--mlm-run", help="run of the masked-LM config, e.g. demo")
    parser.add_argument("--mlm-config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--cores", action=AtLeastOne, default=os.cpu_count())
    parser.add_argument("--gpus", type=int, help="default: 1 where the machine has one, else 0")
    parser.add_argument("--profile", help="default: profiles/default with a GPU, else profiles/cpu")
    parser.add_argument("--max-hours", type=float, help="default: preflight.max_hours, or 24")
    parser.add_argument("--trial-seconds", type=float, default=90.0, help="longest trial training")
    options = parser.parse_args()
    gpus = options.gpus if options.gpus is not None else int(Path("/dev/nvidia0").exists())
    profile = options.profile or ("profiles/default" if gpus else "profiles/cpu")
    machine = ["--cores", str(options.cores), "--workflow-profile", profile]
    if options.mlm_run:
        mlm = MlmFlight(
            study=read_study(options.mlm_config),
            config=options.mlm_config,
            run=options.mlm_run,
            machine=machine,
            cores=options.cores,
            gpus=gpus,
            trial_seconds=options.trial_seconds,
        )
        print(report(mlm_preflight(mlm, options.max_hours or longest_hours({}))))
        return
    config = load_config([BASE, *(path for path in options.config if path != BASE)])
    study = parse_study(config)
    names = study.names if options.experiment == ["all"] else options.experiment
    timed: dict[str, Trial] = {}
    for name in names:
        flight = Flight(
            study=study,
            experiment=name,
            arguments=[*machine, "--configfile", *options.config],
            cores=options.cores,
            gpus=gpus,
            trial_seconds=options.trial_seconds,
        )
        checks = preflight(flight, options.max_hours or longest_hours(config), timed)
        print(f"{name}:\n{report(checks)}" if len(names) > 1 else report(checks), flush=True)


if __name__ == "__main__":
    run_program(main)
