"""Data frames from CSV and Parquet files, with one error line each."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import ABSENT, checked_file, read_text, said_by

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.parquet import ParquetFile

TABLE_LIMIT = 2**36  # bytes of a Parquet table in memory


def read_csv(
    path: str | os.PathLike[str],
    *,
    absent: str = ABSENT,
    broken: str = "Delete it and run again.",
    **options: Any,
) -> pd.DataFrame:
    """Read a CSV file, gzipped if its name ends in `.gz`, with options of `pandas.read_csv`.

    Raises:
        FoldwiseError: As of `read_text`, or pandas cannot read it.
    """
    import pandas as pd  # noqa: PLC0415 (half a second, which programs without tables can do without)

    text = read_text(path, packed=str(path).endswith(".gz"), absent=absent)
    try:
        table: pd.DataFrame = pd.read_csv(io.StringIO(text), **options)
    except (ValueError, KeyError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise FoldwiseError(
            f"the file is not a valid CSV ({said_by(error)})", where=str(path), hint=broken
        ) from error
    return table


def parquet_file(path: str | os.PathLike[str], *, absent: str = ABSENT) -> ParquetFile:
    """Open a Parquet file.

    Raises:
        FoldwiseError: As of `checked_file`, or it is no Parquet file.
    """
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 (programs without tables start sooner)

    with parquet_errors(path):
        return ParquetFile(checked_file(path, absent=absent))


@contextmanager
def parquet_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever pyarrow and pandas make of a damaged Parquet file, as one line."""
    try:
        yield
    except FoldwiseError:
        raise
    except Exception as error:  # of any kind: KeyError and TypeError for pandas' metadata
        raise FoldwiseError(
            "the file is truncated or not a Parquet file",
            where=str(path),
            hint="Delete it and run again.",
        ) from error


def read_parquet(path: str | os.PathLike[str], columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a Parquet file and check that `columns` are there.

    Raises:
        FoldwiseError: The file is missing, truncated, too large, or lacks one of `columns`.
    """
    with parquet_errors(path):
        file = parquet_file(path)
        facts = file.metadata
        size = 8 * facts.num_rows * max(1, facts.num_columns)
        if size > TABLE_LIMIT:
            raise FoldwiseError(
                f"the table has {facts.num_rows:,} rows, too many to be read",
                where=str(path),
                hint="Check that it is the right file.",
            )
        table: pd.DataFrame = file.read().to_pandas()
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise FoldwiseError(
            f"column {missing[0]!r} is missing (columns: {', '.join(map(str, table.columns))})",
            where=str(path),
            hint="Delete the file and run again, or name the column so.",
        )
    return table
