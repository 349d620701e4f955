"""What a reader of structures gives: one row per structure, with what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import Failure


class StructureRow(NamedTuple):
    """One structure of a source.

    Attributes:
        id: Name of the file, value of the id column, or made from the number of the row.
        crystal: The crystal, or why it cannot be used.
        where: File, frame or row that it stands in.
        columns: What else the row holds (a table's other columns, `info` of an extended XYZ frame,
            key-value pairs of an ASE database).
    """

    id: str
    crystal: CrystalArrays | Failure
    where: str
    columns: Mapping[str, Any]


class RawRow(NamedTuple):
    """A row before its structure is read: `convert(payload, max_atoms)` gives it.

    `convert` is a function of a module, so that another process can call it, and raises
    `CrystalError` for a structure that cannot be used. It need not look at `max_atoms`, but may
    refuse a larger cell early.
    """

    id: str
    payload: Any
    convert: Callable[[Any, int], CrystalArrays]
    where: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class RawSource:
    """What a format's module hands over.

    Attributes:
        kind: What it is, in words.
        total: Number of rows, where it is known before all are read.
        rows: Opens the source again and gives its rows in order.
        ignored: Names of files that are no structures and are passed over.
    """

    kind: str
    total: int | None
    rows: Callable[[], Iterator[RawRow]]
    ignored: tuple[str, ...] = ()


def printable(value: Any) -> Any:
    """A text without surrogates (bytes that are not UTF-8), which no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
