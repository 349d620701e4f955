"""Make a study of your own crystals: a dataset, what was found in it, and a config.

Structures: a folder of CIF or POSCAR files, extended XYZ, an ASE database, a table with a column of
structures (CSV, JSON lines, Parquet), or Matbench JSON. Reads them once, writes data/own/NAME/ and
config/NAME.yaml, and names the next command.
"""

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.files import REPOSITORY, read_yaml
from foldwise.common.options import AtLeastOne
from foldwise.study.own import OwnStudy, make_own_study
from foldwise.tasks.cuts.rule import OWN_KINDS
from foldwise.tasks.formats.text import MAX_ATOMS
from foldwise.tasks.own.values import Quantity


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--structures", type=Path, required=True, help="folder or file")
    parser.add_argument("--targets", type=Path, help="table of id and target; default: structures")
    parser.add_argument("--target", required=True, help="column to predict")
    parser.add_argument(
        "--unit", required=True, help="its unit, such as eV/atom; 1 for a pure number"
    )
    parser.add_argument("--name", required=True, help="of the study, such as mine")
    parser.add_argument("--id-column", help="default: id, material_id, mp_id or name")
    parser.add_argument("--structure-column", help="of a table; default: structure, cif or poscar")
    parser.add_argument(
        "--split", choices=OWN_KINDS, help="default: by formula where rows share one"
    )
    parser.add_argument("--split-column", help="column of --targets for column, time and file")
    parser.add_argument(
        "--max-atoms", type=int, default=MAX_ATOMS, help="largest cell (%(default)s)"
    )
    parser.add_argument(
        "--workers", action=AtLeastOne, default=1, help="processes that read structures"
    )
    parser.add_argument("--replace", action="store_true", help="replace an earlier call's files")
    parser.add_argument(
        "--root",
        type=Path,
        help="folder with config/config.yaml in which Snakemake is called; default: this folder if "
        "it is one, else the repository",
    )
    options = parser.parse_args()
    given = OwnStudy(
        structures=options.structures,
        targets=options.targets,
        quantity=Quantity.of(options.target, options.unit),
        name=options.name,
        id_column=options.id_column,
        structure_column=options.structure_column,
        split=options.split,
        split_column=options.split_column,
        max_atoms=options.max_atoms,
    )
    here = Path("config/config.yaml").is_file()
    root = options.root or (Path() if here else REPOSITORY)
    defaults = read_yaml(root / "config/config.yaml", absent="Correct --root.")
    report = make_own_study(given, defaults, root, replace=options.replace, workers=options.workers)
    print(report, end="")


if __name__ == "__main__":
    run_program(main)
