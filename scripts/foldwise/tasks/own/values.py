"""A user's column of targets: numbers, with or without their unit, one per id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.formats.frames import frame_id
from foldwise.tasks.formats.tables import table_rows
from foldwise.tasks.targets import usable_target

_NUMBER = re.compile(
    r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"\s*(?P<unit>(?:[^\W\d_]|[%°]).*)?"
)
CLASS = "class"  # the unit of a column of two classes
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


UNITLESS = "unitless"


class Quantity(NamedTuple):
    """A target's column and its unit."""

    column: str
    unit: str

    @classmethod
    def of(cls, column: str, unit: str) -> Quantity:
        """As a user names them: a unit of 1 reads as Matbench's "unitless" on every page."""
        return cls(column, UNITLESS if unit.strip() in {"1", "-"} else unit)


class Target(NamedTuple):
    """A row of a table of targets.

    Attributes:
        value: The target, or None where the cell holds no finite number.
        cell: The cell as it stands.
        where: The row.
        columns: All other columns of the row.
    """

    value: float | None
    cell: str
    where: str
    columns: Mapping[str, Any]


def read_targets(path: Path, quantity: Quantity, id_column: str | None) -> dict[str, Target]:
    """Targets by id.

    Raises:
        FoldwiseError: The table cannot be read, lacks the column, names an id twice, or holds
            values in another unit.
    """
    found: dict[str, Target] = {}
    has_column = False
    absent: FoldwiseError | None = None
    for number, (where, row) in enumerate(table_rows(path)):
        columns = {key: cell for key, cell in row.items() if key != quantity.column}
        name = frame_id(columns, id_column or _first_id(columns, where), "row", number, where)
        if name in found:
            raise FoldwiseError(
                f"{name!r} has a target already, in {found[name].where}",
                where=where,
                hint="Give every id one row.",
            )
        found[name] = target_of(row, quantity, where)
        has_column = has_column or quantity.column in row
        absent = absent or no_column(row, quantity, where)
    if absent is not None and not has_column:
        raise absent
    if not found:
        raise FoldwiseError("there is no row in it", where=str(path), hint="Give id and target.")
    return found


def target_of(row: Mapping[str, Any], quantity: Quantity, where: str) -> Target:
    """The target of one row; without a value if the row lacks the column.

    Raises:
        FoldwiseError: The row states another unit.
    """
    target, unit = quantity
    for key in ("unit", f"{target}_unit"):
        stated = str(row.get(key) or "").strip()
        if stated and stated != unit:
            raise _other_unit(stated, unit, where)
    cell = row.get(target, "")
    columns = {key: value for key, value in row.items() if key != target}
    return Target(_number(cell, unit, where), str(cell)[:80], where, columns)


def no_column(row: Mapping[str, Any], quantity: Quantity, where: str) -> FoldwiseError:
    """What to raise if no row has the column of targets."""
    return FoldwiseError(
        f"there is no column {quantity.column!r} (columns: {', '.join(row) or 'none'})",
        where=where,
        hint="Name the column with --target.",
    )


def _first_id(columns: Mapping[str, Any], where: str) -> str:
    """The usual name of an id column, or the first column."""
    usual = ("id", "material_id", "mp_id", "name")
    key = next((key for key in usual if key in columns), next(iter(columns), None))
    if key is None:
        raise FoldwiseError(
            "there is no column of ids beside the target", where=where, hint="Add a column id."
        )
    return key


def _number(cell: Any, unit: str, where: str) -> float | None:
    text = str(cell).strip()
    if unit == CLASS and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if isinstance(cell, bool):
        return None
    try:
        number = float(text)
    except ValueError:
        found = _NUMBER.fullmatch(text)
        if found is None or not found["unit"]:
            return None
        if found["unit"].strip() != unit:
            raise _other_unit(found["unit"].strip(), unit, where) from None
        number = float(found["number"])
    return usable_target(number)


def _other_unit(stated: str, unit: str, where: str) -> FoldwiseError:
    return FoldwiseError(
        f"the unit is {stated!r}, and --unit says {unit!r}",
        where=where,
        hint="Convert the column to one unit.",
    )
