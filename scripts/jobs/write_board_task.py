"""Write the folder of a task: every rule's predictions, and the chosen rule's whole folder."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.experiment.board import CONTENT, BoardPaths, write_board_task


def main() -> None:
    """Parse the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="official task")
    parser.add_argument("--study", required=True, help="what experiments have in common, JSON")
    parser.add_argument("--members", required=True, help="folder of the task's members")
    parser.add_argument("--answers", required=True, help="folder of the rules' answers")
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--card", required=True, help="card.json of the task")
    parser.add_argument("--dataset-failures", required=True, help="failures.csv of the dataset")
    parser.add_argument("--duplicates", nargs="?", help="duplicates.json; not for a class")
    parser.add_argument("--splits", nargs="*", default=[], help="fold_*.json; not for a class")
    parser.add_argument("--command", help="the command that makes it again, for the record")
    parser.add_argument(
        "--out",
        type=output_folder(*CONTENT),
        required=True,
        help="folder to write; an older one is replaced",
    )
    arguments = vars(parser.parse_args())
    task, study, out, command = (arguments.pop(key) for key in ("task", "study", "out", "command"))
    write_board_task(BoardPaths(**arguments), task, json.loads(study), out, command)


if __name__ == "__main__":
    run_program(main)
