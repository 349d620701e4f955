"""Calls of language models: a short line of each at once, prompts in shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foldwise.experiment.inputs.types import Json
from foldwise.site.data.columns import (
    code_column,
    number_column,
    quantum_of,
    text_column,
    whole_column,
)
from foldwise.site.data.scripts import write_script

CALL_SHARD = 500
"""Calls whose prompts are in one file."""
_TEXTS = ("input_text", "plain_text", "finish_reason")
_TOKENS = ("input_tokens", "output_tokens")


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
