"""Stop a series of experiments, or warn, where its first one is no better than a linear model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_json
from foldwise.common.output import output_file
from foldwise.experiment.comparison.gate import STOP, WARN, check_gate, closed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", required=True, help="name of the series")
    parser.add_argument("--first", required=True, help="its first experiment")
    parser.add_argument("--action", choices=(STOP, WARN), required=True)
    parser.add_argument("--force", action="store_true", help="warn in any case")
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="one per fold")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="as --splits")
    parser.add_argument("--out", type=output_file, required=True, help="JSON file")
    options = parser.parse_args()
    gate = check_gate(
        options.series, options.first, options.targets, options.splits, options.predictions
    )
    if not gate.passed:
        if options.action == STOP and not options.force:
            raise closed(gate)
        print(f"warning: series {gate.series}: {gate.message}", file=sys.stderr)
    write_json(options.out, gate.as_dict())


if __name__ == "__main__":
    run_program(main)
