"""Run a program on the folder of one fold and seed. Needs nothing but Python."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program as run_this
from foldwise.common.options import AtLeastOne
from foldwise.teachers.running import run_program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=Path, required=True, help="archive of the folder")
    parser.add_argument("--command", required=True, help="the program's command")
    parser.add_argument("--python", type=Path, help="interpreter that the command shall find")
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--gpu", action="store_true", help="use a GPU where there is one")
    parser.add_argument("--minutes", type=float, required=True, help="its time")
    parser.add_argument("--log", type=Path, required=True, help="what the program prints")
    parser.add_argument("--out", type=Path, required=True, help="folder of what it leaves")
    parser.add_argument("--out-json", type=Path, required=True, help="how it ended")
    options = parser.parse_args()
    outcome = run_program(
        options.job,
        shlex.split(options.command),
        options.out,
        log=options.log,
        threads=options.threads,
        gpu=options.gpu,
        minutes=options.minutes,
        python=options.python,
    )
    part = options.out_json.with_name(f"{options.out_json.name}.part")
    part.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    part.replace(options.out_json)


if __name__ == "__main__":
    run_this(main)
