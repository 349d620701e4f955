"""Combine models of several recipes on one fold, by a rule fitted on rows that they held out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object, write_json, write_parquet
from foldwise.common.output import output_file
from foldwise.prediction.mixed import MemberFiles, Rule, combine_mixed, left_out
from foldwise.submissions.settings import RULES, BoosterOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", required=True, help="recipe of each member")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="as --recipes")
    parser.add_argument("--asked", type=Path, nargs="+", required=True, help="answers to combine")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True, help="train.parquet")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="of all folds")
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--rule", choices=RULES, required=True)
    parser.add_argument("--booster", default="{}", help="settings of the booster, as JSON")
    parser.add_argument("--out", type=output_file, required=True, help="combined answers")
    parser.add_argument("--out-json", type=output_file, help="what was done")
    parser.add_argument(
        "--out-held-out", type=output_file, help="combined answers for held-out rows"
    )
    parser.add_argument("--out-without", type=output_file, help="answers without each recipe")
    options = parser.parse_args()
    files = zip(options.recipes, options.seeds, options.asked, options.held_out, strict=True)
    tables, done = combine_mixed(
        [MemberFiles(*each) for each in files],
        options.targets,
        Rule(options.rule, BoosterOptions(**json_object(options.booster, "--booster"))),
        left_out(options.fits),
    )
    for table, out in (
        ("held_out", options.out_held_out),
        ("without", options.out_without),
        ("combined", options.out),
    ):
        if out is not None:
            write_parquet(out, tables[table])
    if options.out_json is not None:
        write_json(options.out_json, {"fold": options.fold, **done})


if __name__ == "__main__":
    run_program(main)
