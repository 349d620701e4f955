"""Write the tables of README.md, or of another page, from the studies that its markers name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.files import write_text
from maintenance.page_tables.tables import with_readme_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=Path("README.md"))
    parser.add_argument("--root", type=Path, default=Path(), help="folder of configs and results")
    parser.add_argument("--check", action="store_true", help="fail where the page would change")
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    text = with_readme_tables(page, options.root)
    if text == page:
        return
    if options.check:
        raise FoldwiseError(
            "its tables are not what the results say",
            where=str(options.page),
            hint="Run python scripts/maintenance/write_readme_tables.py.",
        )
    write_text(options.page, text)


if __name__ == "__main__":
    run_program(main)
