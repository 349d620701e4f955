"""Write the JSON Schemas of the configs, and the tables of their keys in the documentation.

A new key is one field of a declared class (foldwise/study/declaration.py says where each stands);
run this afterwards. `--check` writes nothing and fails where a file is not what would be written.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.config_pages import schema_text, with_tables
from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.files import atomic_path
from foldwise.mlm.declaration import MlmFile
from foldwise.study.declaration import StudyFile

FILES = (
    (StudyFile, "config/schemas/config.schema.json", "docs/configuration.md"),
    (MlmFile, "config/schemas/mlm.schema.json", "docs/mlm.md"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where a file would change")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of the repository")
    options = parser.parse_args()
    for kind, schema, page in FILES:
        path = options.root / page
        wanted = {
            options.root / schema: schema_text(kind),
            path: with_tables(path.read_text(encoding="utf-8"), kind, page),
        }
        for file, text in wanted.items():
            if file.read_text(encoding="utf-8") == text:
                continue
            if options.check:
                raise FoldwiseError(
                    "it is not what the declared config says",
                    where=str(file),
                    hint="Run python scripts/maintenance/write_config_pages.py.",
                )
            with atomic_path(file) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_program(main)
