"""Find the rows of several tasks that are the same crystal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_parquet, write_parquet
from foldwise.common.output import output_file
from foldwise.crystals.files import read_structures
from foldwise.tasks.duplicates.groups import structure_groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--targets", type=Path, nargs="+", required=True, help="as --tasks")
    parser.add_argument("--structures", type=Path, nargs="+", required=True, help="as --tasks")
    parser.add_argument("--out", type=output_file, required=True, help="Parquet file")
    options = parser.parse_args()
    formulas, crystals = {}, {}
    for task, targets, structures in zip(
        options.tasks, options.targets, options.structures, strict=True
    ):
        table = read_parquet(targets, ("id", "formula"))
        formulas[task] = dict(zip(table["id"].astype(str), table["formula"], strict=True))
        crystals[task] = dict(zip(*read_structures(structures), strict=True))
    write_parquet(options.out, structure_groups(formulas, crystals))


if __name__ == "__main__":
    run_program(main)
