"""Write the site of a study: a folder that a browser opens without a server."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.output import output_folder
from foldwise.site.job import CONTENT, SitePaths, write_site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="results, or results/{run}")
    parser.add_argument(
        "--experiments", type=Path, required=True, nargs="+", help="experiment folders"
    )
    parser.add_argument("--targets", type=Path, required=True, help="targets.parquet of the task")
    parser.add_argument("--card", type=Path, required=True, help="card.json of the task")
    parser.add_argument("--structures", type=Path, help="structures.npz, if the task has any")
    parser.add_argument(
        "--duplicates", type=Path, help="duplicates.csv, if structures were matched"
    )
    parser.add_argument(
        "--out", type=output_folder(*CONTENT), required=True, help="folder of the site"
    )
    options = parser.parse_args()
    paths = SitePaths(
        options.root,
        options.experiments,
        options.targets,
        options.card,
        options.structures,
        options.duplicates,
    )
    print(write_site(paths, options.out))


if __name__ == "__main__":
    run_program(main)
