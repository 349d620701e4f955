"""Read a table of ids, compositions and targets, without structures, and write a dataset of it."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.tasks.targets import TargetSpec, prepare_targets


def main() -> None:
    """Parse the command line and prepare one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="task name, such as matbench_mp_gap")
    parser.add_argument("--path", help="CSV of id, composition, target (default: official file)")
    parser.add_argument("--target", help="target column (default: the only one)")
    parser.add_argument("--target-name", required=True, help="what reports call the target")
    parser.add_argument("--unit", required=True, help="unit of the target, such as eV/atom")
    parser.add_argument("--intensive", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--out", type=output_folder(), required=True, help="folder of the three files"
    )
    args = parser.parse_args()
    spec = TargetSpec(
        task=args.task,
        target=args.target,
        unit=args.unit,
        intensive=args.intensive,
        target_name=args.target_name,
    )
    prepare_targets(spec, args.path, args.out)


if __name__ == "__main__":
    run_program(main)
