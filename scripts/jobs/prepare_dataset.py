"""Read a dataset and write its targets, structures, failures and card."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_folder
from foldwise.tasks.dataset import DatasetSpec, prepare_dataset, submission_warning


def main() -> None:
    """Parse the command line and prepare one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="task name, such as demo_e_form")
    parser.add_argument("--source", required=True, help="embedded, matbench or file")
    parser.add_argument("--path", help="Matbench-format json.gz, for source file or embedded")
    parser.add_argument("--target", help="target column (default: the only one)")
    parser.add_argument("--target-name", required=True, help="what reports call the target")
    parser.add_argument("--unit", required=True, help="unit of the target, such as eV/atom")
    parser.add_argument("--intensive", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--sha256", help="expected checksum of the source file")
    parser.add_argument("--max-atoms", type=int, help="larger cells are left out")
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="processes")
    parser.add_argument(
        "--out", type=output_folder(), required=True, help="folder of the four files"
    )
    args = parser.parse_args()
    spec = DatasetSpec(
        task=args.task,
        source=args.source,
        path=args.path,
        target=args.target,
        unit=args.unit,
        intensive=args.intensive,
        target_name=args.target_name,
        sha256=args.sha256,
        max_atoms=args.max_atoms,
    )
    warning = submission_warning(prepare_dataset(spec, args.out, args.workers))
    if warning:
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
