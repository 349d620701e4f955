"""A table of measured figures as a page shows it, from the CSV file that a measurement wrote."""

from __future__ import annotations

import os

import pandas as pd

from foldwise.common.errors import FoldwiseError

_MB = 1e6
_DIGITS = 3  # significant ones; counts are whole


def measured_table(path: str | os.PathLike[str]) -> list[str]:
    """Lines of a Markdown table: bytes as MB, three digits of what is no whole number.

    Args:
        path: The CSV file.

    Raises:
        FoldwiseError: It is missing, or no table.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise FoldwiseError(
            f"no table of measured figures ({error})",
            where=str(path),
            hint="Run the measurement that writes it first.",
        ) from error
    names = [str(name) for name in table.columns]
    heads = [name.removesuffix("_bytes") + ", MB" if _is_bytes(name) else name for name in names]
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |"]
    lines.append("|" + "---|" * len(names))
    for row in table.itertuples(index=False):
        cells = [_cell(name, value) for name, value in zip(names, row, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _is_bytes(name: str) -> bool:
    return name.endswith("_bytes")


def _cell(name: str, value: object) -> str:
    if not isinstance(value, int | float):
        return str(value).replace("|", "\\|")
    if pd.isna(value):
        return ""
    number = value / _MB if _is_bytes(name) else value
    if float(number).is_integer() or abs(number) >= 10**_DIGITS:
        return f"{number:,.0f}"
    return f"{number:.{_DIGITS}g}"
