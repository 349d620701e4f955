"""Make the embedded demo dataset from the source distribution of matminer 0.4.2.

Get it with: pip download --no-deps --no-binary :all: matminer==0.4.2
Writes the dataset, its card (demo.card.json) and README.md into the same folder.
"""

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import write_json
from foldwise.common.output import output_file
from maintenance.embedded.card import make_card, write_readme
from maintenance.embedded.selection import candidates, encode, read_source, select, write_bytes


def main() -> None:
    """Parse the command line, select the crystals, write file and cards."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sdist", required=True, help="matminer-0.4.2.tar.gz")
    parser.add_argument("--out", type=output_file, required=True, help="data/demo.json.gz")
    args = parser.parse_args()
    usable, excluded = candidates(read_source(args.sdist))
    chosen = select(usable)
    content = encode(chosen)
    sha256 = hashlib.sha256(content).hexdigest()
    card = make_card(chosen, usable, excluded, args.out.name, sha256)
    write_bytes(args.out, content)
    name = args.out.name.removesuffix(".json.gz")
    write_json(args.out.with_name(f"{name}.card.json"), card)
    write_readme(args.out.parent)


if __name__ == "__main__":
    run_program(main)
