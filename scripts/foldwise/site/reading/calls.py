"""What language models were asked and what they wrote, as an experiment's folder keeps it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.raw_outputs import COLUMNS

RAW_OUTPUTS = "raw_outputs.parquet"


def read_calls(folder: Path) -> pd.DataFrame | None:
    """Calls about test crystals, largest errors first; `None` where no language model was asked.

    Args:
        folder: `results/{experiment}`.

    Returns:
        The columns of the file and `abs_error`, of the prediction; an output without a number has
        the error of the training median that stands in for it.

    Raises:
        FoldwiseError: The file is damaged or lacks a column.
    """
    path = folder / RAW_OUTPUTS
    if not path.is_file():
        return None
    table = read_parquet(path, tuple(name for name in COLUMNS if name != "subset"))
    table = table.assign(abs_error=(table["prediction"] - table["ground_truth"]).abs())
    ordered: pd.DataFrame = table.sort_values(
        ["abs_error", "id", "seed"], ascending=[False, True, True], ignore_index=True
    )
    return ordered
