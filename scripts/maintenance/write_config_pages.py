"""Write the JSON Schemas of the configs, and the tables of their keys in the documentation.

A new key is one field of a declared class (foldwise/study/declaration.py says where each stands);
run this afterwards. `--check` writes nothing and fails where a file is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.files import atomic_path
from foldwise.common.settings import allowed, place_of, schema_of
from foldwise.mlm.declaration import MlmFile
from foldwise.study.declaration import StudyFile

Json = dict[str, Any]
# <!-- keys: recipes.{name} --> … <!-- end of keys -->; without a place, the top level's keys.
_TABLE = re.compile(r"(<!-- keys:(?P<place>[^\n]*?) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def schema_text(kind: type) -> str:
    """A config's JSON Schema file."""
    return json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"


def with_tables(page: str, kind: type, where: str) -> str:
    """A page whose tables of keys are those of a config.

    Raises:
        FoldwiseError: The page asks for a place that the config does not have.
    """
    schema = schema_of(kind)

    def table(match: re.Match[str]) -> str:
        asked = match["place"].strip()
        written, node = place_of(schema, list(asked.split(".")) if asked else [])
        if "properties" not in node:
            raise FoldwiseError(
                f"there are no keys at {asked!r}", where=where, hint="Correct the marker."
            )
        lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
        lines += _rows(schema, node, ".".join(written), deep=bool(asked))
        return match[1] + "\n".join(lines) + "\n" + match[3]

    return _TABLE.sub(table, page)


def _rows(schema: Json, node: Json, prefix: str, *, deep: bool) -> list[str]:
    rows = []
    for key, entry in node["properties"].items():
        name = f"{prefix}.{key}" if prefix else key
        inner = place_of({**entry, "$defs": schema.get("$defs", {})}, [])[1]
        words = "keys of its own" if "properties" in inner else allowed(schema, entry)
        default = "required" if key in node.get("required", ()) else _default(entry)
        cells = (f"`{name}`", words, default, entry.get("description", ""))
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        if deep and "properties" in inner:
            rows += _rows(schema, inner, name, deep=True)
    return rows


def _default(entry: Json) -> str:
    value = entry.get("default")
    if value in (None, [], {}) or isinstance(value, dict):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text.replace(chr(10), chr(92) + 'n')}`"  # a row of a table is one line


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
