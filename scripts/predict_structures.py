"""Predict new crystals with a trained experiment: id, prediction, low, high, warning."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.network.machine import machine_of
from foldwise.network.options import add_machine_options
from foldwise.prediction.new_crystals.job import predict_structures
from foldwise.statistics.answer_intervals import CONFIDENCE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", type=Path, required=True,
                        help="folder such as results/e4, or its model/")  # fmt: skip
    parser.add_argument("--structures", type=Path, required=True,
                        help="folder of CIF or POSCAR files, extended XYZ, ASE database, table, "
                        "or Matbench JSON")  # fmt: skip
    parser.add_argument("--out", type=output_file, required=True, help="CSV; called again after an "
                        "interruption, it goes on")  # fmt: skip
    parser.add_argument("--confidence", type=float, default=CONFIDENCE,
                        help=f"nominal coverage of low to high (default {CONFIDENCE})")  # fmt: skip
    parser.add_argument("--id-column", help="column or key that holds the ids")
    parser.add_argument("--structure-column", help="column of a table that holds the structures")
    add_machine_options(parser)
    options = parser.parse_args()
    done = predict_structures(
        options.experiment,
        options.structures,
        options.out,
        machine=machine_of(options),
        confidence=options.confidence,
        id_column=options.id_column,
        structure_column=options.structure_column,
    )
    new, silent = done.rows - done.resumed, done.rows - done.answered
    print(f"{options.out}: {done.rows:,} structures, {done.answered:,} answered, "
          f"{done.warned:,} of them with a warning, {silent:,} without an answer")  # fmt: skip
    print(done.statement)
    there = f"; {done.resumed:,} were there already" if done.resumed else ""
    print(f"{new:,} in {done.seconds:.1f} s, {new / done.seconds:.1f} structures/s{there}")


if __name__ == "__main__":
    run_program(main)
