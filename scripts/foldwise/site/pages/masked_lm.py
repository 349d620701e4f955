"""Masked-LM checkpoints on the page of runs: rates beside each other, samples one by one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import read_json
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.scripts import write_script

_COLUMNS = (
    "id", "source", "noun", "prediction", "top5", "hit1", "hit5", "rank", "answer_probability",
    "input_text",
)  # fmt: skip
FOLDER, SUFFIX = "mlm", "_eval"


def masked_lm_pages(site: Path, root: Path) -> list[Json]:
    """Write `mlm_{number}.js` per evaluated checkpoint; what the template shows of each."""
    pages = []
    for number, checkpoint in enumerate(read_checkpoints(root)):
        samples = read_samples(checkpoint["folder"])[list(_COLUMNS)]
        write_script(site, f"mlm_{number}", samples.to_dict("records"))
        pages.append(
            {
                "data": f"mlm_{number}",
                "run": checkpoint["run"],
                "phase": checkpoint["phase"],
                "name": checkpoint["name"],
                "metrics": checkpoint["record"]["metrics"],
                "samples": len(samples),
                "command": checkpoint["record"]["provenance"]["command"],
            }
        )
    return pages


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
