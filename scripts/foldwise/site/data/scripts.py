"""Data files of the site: each a classic script that hands one value to the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = "data"


def write_script(site: Path, name: str, value: Any) -> None:
    """Write `data/{name}.js`, which calls `foldwise.receive(name, value)`.

    Args:
        site: Folder of the site.
        name: Letters, digits, `_` and `-`.
        value: Anything JSON can express.
    """
    path = site / FOLDER / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    # ASCII alone: a script without a declared encoding reads the same everywhere.
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    path.write_text(f"foldwise.receive({json.dumps(name)},{text});\n", encoding="ascii")
