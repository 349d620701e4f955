"""Language models' prompts and outputs: how many could be read, and the error both ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.raw_outputs import COLUMNS, OK
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.columns import (
    code_column,
    number_column,
    quantum_of,
    text_column,
    whole_column,
)
from foldwise.site.data.scripts import write_script
from foldwise.site.reading.experiments import ExperimentFolder

CALL_SHARD = 500
"""Calls whose prompts are in one file."""
_TEXTS = ("input_text", "plain_text", "finish_reason")
_TOKENS = ("input_tokens", "output_tokens")
RAW_OUTPUTS = "raw_outputs.parquet"


def calls_page(site: Path, experiment: ExperimentFolder, ids: Sequence[str]) -> Json | None:
    """Write the data of an experiment's calls; what the page shows of them at once.

    Args:
        site: Folder of the site.
        experiment: The experiment.
        ids: The dataset's rows.

    Returns:
        `None` for an experiment that asked no language model.
    """
    calls = read_calls(experiment.folder)
    if calls is None:
        return None
    write_calls(site, experiment.name, calls, ids)
    read = calls["parse_status"] == OK
    settings = experiment.record["hyperparams"]
    return {
        "calls": len(calls),
        "unread": int((~read).sum()),
        "mae": float(calls["abs_error"].mean()),
        "mae_read": float(calls["abs_error"][read].mean()) if read.any() else None,
        "model": settings.get("language_model"),
        "method": settings.get("method"),
        "decoding": settings.get("decoding"),
        "shard": CALL_SHARD,
    }


def write_calls(site: Path, name: str, calls: pd.DataFrame, ids: Sequence[str]) -> None:
    """Write `calls_{name}.js`, and `prompts_{name}_{shard}.js`: call `i` is in `i // CALL_SHARD`.

    Args:
        site: Folder of the site.
        name: Name of the experiment.
        calls: As `read_calls` has it.
        ids: The dataset's rows; a call names the number of its row.
    """
    places = {each: place for place, each in enumerate(ids)}
    quantum = quantum_of(calls["prediction"])
    columns: Json = {
        "row": whole_column([places.get(str(each), -1) for each in calls["id"]]),
        "seed": whole_column(calls["seed"]),
        "status": code_column(calls["parse_status"].tolist()),
        "value": number_column(calls["value"], quantum),
        "prediction": number_column(calls["prediction"], quantum),
        "output_text": text_column(calls["output_text"].tolist()),
    }
    write_script(site, f"calls_{name}", {"columns": columns})
    for start in range(0, len(calls), CALL_SHARD):
        part = calls.iloc[start : start + CALL_SHARD]
        write_script(site, f"prompts_{name}_{start // CALL_SHARD}", {"columns": _prompts(part)})


def _prompts(part: pd.DataFrame) -> Json:
    texts = {key: text_column(part[key].tolist()) for key in _TEXTS if key in part}
    return texts | {key: whole_column(part[key]) for key in _TOKENS if key in part}


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
