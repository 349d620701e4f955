"""A user's own column: units of independence, times, or fold numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.common.tables import csv_table
from foldwise.tasks.cuts.rule import SplitRule

_TRAIN, _TEST = ("train", "validation", "-1", ""), "test"


def column_values(rule: SplitRule, ids: Sequence[str]) -> list[str]:
    """The column as text, in the order of the ids.

    Raises:
        FoldwiseError: The table cannot be read, lacks a row, or has one twice.
    """
    assert rule.table is not None
    assert rule.column is not None
    table = _read_table(rule.table, rule.column)
    twice = table["id"].duplicated()
    if twice.any():
        raise FoldwiseError(
            f"{table['id'][twice].iloc[0]!r} stands twice in it",
            where=rule.table,
            hint="Give every row once.",
        )
    known = dict(zip(table["id"], table[rule.column], strict=True))
    missing = next((name for name in ids if name not in known), None)
    if missing is not None:
        raise FoldwiseError(
            f"there is no row for {missing!r}",
            where=rule.table,
            hint="Give a row for every crystal of the task.",
        )
    return [known[name] for name in ids]


def column_units(rule: SplitRule, ids: Sequence[str]) -> list[str]:
    """The unit of every row.

    Raises:
        FoldwiseError: As `column_values`, or a row has no unit.
    """
    labels = column_values(rule, ids)
    empty = next((name for name, label in zip(ids, labels, strict=True) if not label), None)
    if empty is not None:
        raise FoldwiseError(
            f"{empty!r} has no value",
            where=f"{rule.table} column {rule.column}",
            hint="Give every row its unit.",
        )
    return labels


def column_times(rule: SplitRule, ids: Sequence[str]) -> NDArray[np.float64]:
    """Numbers, or seconds of ISO 8601 dates, of every row.

    Raises:
        FoldwiseError: As `column_values`, or a value is no time.
    """
    values = column_values(rule, ids)
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    if numbers.isna().any():
        dates = pd.to_datetime(pd.Series(values), errors="coerce", format="ISO8601", utc=True)
        if dates.isna().any():
            row = int(dates.isna().to_numpy().argmax())
            raise FoldwiseError(
                f"{values[row]!r} of {ids[row]!r} is no time",
                where=f"{rule.table} column {rule.column}",
                hint="Write numbers (2019) in all rows, or dates (2019-05-31) in all.",
            )
        seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        return np.array(seconds, dtype=np.float64)
    return np.array(numbers, dtype=np.float64)


def column_folds(rule: SplitRule, ids: Sequence[str]) -> list[int | None]:
    """The fold that tests each row; None for rows that are always in training.

    Raises:
        FoldwiseError: As `column_values`, or a value is no fold.
    """
    values = column_values(rule, ids)
    return [_tested_in(name, value, rule) for name, value in zip(ids, values, strict=True)]


def _tested_in(name: str, value: str, rule: SplitRule) -> int | None:
    word = value.strip().lower()
    if word in _TRAIN:
        return None
    if word == _TEST:
        return 0
    if not word.isdecimal():
        raise FoldwiseError(
            f"{value!r} of {name!r} is no fold",
            where=f"{rule.table} column {rule.column}",
            hint="Write the number of the fold that tests the row, or train or test.",
        )
    return int(word)


def _read_table(path: str | os.PathLike[str], column: str) -> pd.DataFrame:
    if str(path).endswith(".parquet"):
        table = read_parquet(path, ["id", column])[["id", column]]
        return table.astype(object).where(table.notna(), "").astype(str)
    table = csv_table(Path(path), absent="Correct splits.table.")
    for needed in ("id", column):
        if needed not in table.columns:
            raise FoldwiseError(
                f"there is no column {needed!r} (columns: {', '.join(table.columns)})",
                where=str(path),
                hint="Name a column of the file as splits.column; ids stand in `id`.",
            )
    return table[["id", column]]
