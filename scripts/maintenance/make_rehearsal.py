"""Rehearse an official task at its full size on stand-in crystals: what every stage takes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from maintenance.rehearsal.dataset import official_rows, write_rehearsal
from maintenance.rehearsal.job import Rehearsal, rehearse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="official task, as in matbench_jdft2d")
    parser.add_argument(
        "--targets",
        type=Path,
        help="CSV with mbid, composition and the target's column; "
        "without it the compositions come from the official file, where it was downloaded",
    )
    parser.add_argument("--cores", action=AtLeastOne, default=os.cpu_count() or 1)
    parser.add_argument("--model", choices=("chgnet", "chgnet_lite"), default="chgnet_lite")
    parser.add_argument("--dataset-only", type=Path, help="write this json.gz and nothing else")
    parser.add_argument(
        "--trial",
        type=float,
        metavar="SECONDS",
        help="instead of training, measure steps for at most so long; later stages are left out",
    )
    parser.add_argument("--go-on", action="store_true", help="keep what an earlier call has made")
    options = parser.parse_args()
    if options.dataset_only:
        rows = official_rows(options.task, options.targets)
        print(write_rehearsal(rows, options.dataset_only))
        return
    plan = Rehearsal(
        options.task,
        targets=options.targets,
        cores=options.cores,
        model=options.model,
        trial=options.trial,
        goes_on=options.go_on,
    )
    root = rehearse(plan, lambda line: print(line, flush=True))
    print((root / "stages.csv").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    run_program(main)
