"""Evaluated masked-LM checkpoints: their rates, and their samples, worst first."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import read_json
from foldwise.experiment.inputs.types import Json

FOLDER, SUFFIX = "mlm", "_eval"


def read_checkpoints(root: Path) -> list[Json]:
    """Every evaluated checkpoint below `{root}/mlm`: run, phase, name, folder, record."""
    found = []
    for path in sorted((root / FOLDER).glob(f"*/*/*{SUFFIX}/results.json")):
        run, phase, name = path.parts[-4:-1]
        found.append(
            {
                "run": run,
                "phase": phase,
                "name": name.removesuffix(SUFFIX),
                "folder": path.parent,
                "record": read_json(path),
            }
        )
    return found


def read_samples(folder: Path) -> pd.DataFrame:
    """`predictions.parquet` of a checkpoint: misses first, then by the answer's probability."""
    table: pd.DataFrame = pd.read_parquet(folder / "predictions.parquet")
    return table
