"""What language models were asked and what they wrote, as their jobs left it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet

COLUMNS = ("id", "fold", "input_text", "output_text", "parse_status", "value", "ground_truth",
           "seed", "subset", "prediction")  # fmt: skip
OK = "ok"


def read_raw_outputs(paths: Sequence[str | Path]) -> pd.DataFrame | None:
    """Calls about test rows of all models, in the order of the files; `None` without a file.

    Raises:
        FoldwiseError: A file is missing, damaged, lacks a column, or names an id twice.
    """
    if not paths:
        return None
    tables = []
    for path in paths:
        table = read_parquet(path, COLUMNS)
        table = table[table["subset"] == "test"].drop(columns="subset")
        if table["id"].duplicated().any():
            raise FoldwiseError(
                f"id {table['id'][table['id'].duplicated()].iloc[0]!r} stands there twice",
                where=str(path),
                hint="Delete it and run again.",
            )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
