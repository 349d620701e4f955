"""JSON Schema files and the tables of keys in the documentation, written from declared configs."""

from __future__ import annotations

import json
import re
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import allowed, place_of, schema_of

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
