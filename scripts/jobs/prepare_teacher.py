"""Write the folder that a program gets for one fold and seed, as an archive."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import json_object
from foldwise.common.output import output_file
from foldwise.teachers.folder import TeacherJob, write_job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe-name", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--holdout", type=int, required=True, help="hold-out that validates")
    parser.add_argument("--options", default="{}", help="what the program is told, as JSON")
    parser.add_argument("--cif", action="store_true", help="write CIF files too")
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--card", type=Path, required=True, help="card.json of the task")
    parser.add_argument("--structures", type=Path, required=True, help="structures.npz of the task")
    parser.add_argument("--split", type=Path, required=True, help="split file of the fold")
    parser.add_argument("--copies", type=Path, help="structures.npz of copies to answer")
    parser.add_argument("--out", type=output_file, required=True, help="archive to write")
    options = parser.parse_args()
    write_job(
        options.out,
        TeacherJob(
            recipe=options.recipe_name,
            seed=options.seed,
            holdout=options.holdout,
            options=json_object(options.options, "--options"),
            cif=options.cif,
        ),
        targets=options.targets,
        card=options.card,
        structures=options.structures,
        split=options.split,
        copies=options.copies,
    )


if __name__ == "__main__":
    run_program(main)
