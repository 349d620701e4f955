"""Read one file of an experiment and check what it must hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.experiment.inputs.types import Json

AGAIN = "Delete it and run again."


def read_object(path: str | Path, keys: Iterable[str]) -> Json:
    """A JSON object that has `keys`.

    Raises:
        FoldwiseError: The file is missing, no JSON object, or lacks a key.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise FoldwiseError("the file holds no JSON object", where=str(path), hint=AGAIN)
    missing = [key for key in keys if key not in value]
    if missing:
        raise FoldwiseError(f"key {missing[0]!r} is missing", where=str(path), hint=AGAIN)
    return value


def read_table(path: str | Path, columns: Iterable[str], **options: Any) -> pd.DataFrame:
    """A CSV that has `columns`; `options` go to `pandas.read_csv`.

    Raises:
        FoldwiseError: The file is missing, no CSV, or lacks a column.
    """
    try:
        table: pd.DataFrame = pd.read_csv(path, **options)
    except FileNotFoundError:
        raise FoldwiseError(
            "the file does not exist", where=str(path), hint="Make it first."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FoldwiseError(f"no valid CSV ({error})", where=str(path), hint=AGAIN) from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise FoldwiseError(f"column {missing[0]!r} is missing", where=str(path), hint=AGAIN)
    return table


def indexed(table: pd.DataFrame, column: str, path: str | Path) -> pd.DataFrame:
    """The table indexed by id.

    Raises:
        FoldwiseError: An id stands there twice, or a value of `column` is not finite.
    """
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise FoldwiseError(f"id {twice.iloc[0]!r} stands there twice", where=str(path), hint=AGAIN)
    bad = table["id"][~np.isfinite(table[column].to_numpy(dtype=np.float64))]
    if len(bad):
        raise FoldwiseError(
            f"{len(bad)} value(s) of {column!r} are not finite, the first for id {bad.iloc[0]!r}",
            where=str(path),
            hint="Mend the step that wrote it.",
        )
    return table.set_index("id")


def check_complete(found: list[Any], wanted: list[Any], where: str, what: str) -> None:
    """Check that the files cover what the config asks for.

    Raises:
        FoldwiseError: They do not.
    """
    if found != wanted:
        raise FoldwiseError(
            f"the files hold {what} {found}, the config asks for {wanted}",
            where=where,
            hint="Give one file for each.",
        )


def check_ids(found: pd.Index[str], expected: set[str], fold: int, path: str | Path) -> None:
    """Check that a file holds exactly the `expected` test rows of a fold.

    Raises:
        FoldwiseError: It does not; the message names one id.
    """
    lost, extra = expected - set(found), set(found) - expected
    if lost or extra:
        which = f"misses {min(lost)!r}" if lost else f"holds {min(extra)!r}"
        raise FoldwiseError(
            f"the file has {len(found)} of {len(expected)} test rows of fold {fold} and {which}",
            where=str(path),
            hint="Predict this fold again, and give all lists in one order.",
        )
