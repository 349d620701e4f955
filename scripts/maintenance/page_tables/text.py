"""The table of docs/text-models.md: language models beside what knows less, and beside CHGNet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.summary import read_records
from foldwise.statistics.wording import value_text
from foldwise.study.outside.text import TextRecipe
from foldwise.study.study import Study

_RAW_COLUMNS = ("ground_truth", "input_tokens", "parse_status", "plain_value")
_BASELINES = (
    ("mean of the fitted targets", "train_mean_mae"),
    ("linear element reference", "element_reference_mae"),
)


def text_table(study: Study, results: Path, names: Sequence[str] = ()) -> list[str]:
    """Errors of language models, of simple models, and of a network.

    Columns: MAE with its interval, the MAE of the most probable answer in place of the median,
    outputs without a number, Pearson correlation of signed errors with those of the network, tokens
    of a prompt.

    Args:
        study: The study; the network is that of its first experiment without a language model.
        results: Folder of its experiments.
        names: Of language models; without one, all of them.
    """
    asked = [name for name in study.names if _recipe(study, name) is not None]
    network = next(name for name in study.names if name not in asked)
    shown = [network, *(names or asked)]
    records = read_records([results / name for name in shown])
    first, unit = records[0], str(records[0]["unit"])
    lines = [
        f"| what answers | told | tokens | MAE [95 %], {unit} | plain decoding | no number "
        f"| errors in common with `{first['experiment']}` |",
        "|---|---|---|---|---|---|---|",
    ]
    baselines = first["metrics"]["baselines"]
    for words, key in _BASELINES:
        lines.append(f"| {words} | | | {value_text(baselines[key])} | | | |")
    reference = _errors(results / str(first["experiment"]))
    cells = [_cells(study, results, record, reference) for record in records]
    return [*lines, *(f"| {' | '.join(row)} |" for row in cells)]


def _cells(study: Study, results: Path, record: Json, reference: pd.Series[float]) -> list[str]:
    name = str(record["experiment"])
    pooled = record["metrics"]["pooled"]
    ends = ", ".join(value_text(end) for end in pooled["interval"])
    mae = f"{value_text(pooled['mae'])} [{ends}]"
    title = f"`{name}` {record['title']}"
    recipe = _recipe(study, name)
    errors = _errors(results / name)
    common = _correlation(errors, reference) if errors.name != reference.name else ""
    if recipe is None:
        return [title, "", "", mae, "", "", common]
    raw = read_parquet(results / name / "raw_outputs.parquet", _RAW_COLUMNS)
    failed = int((raw["parse_status"] != OK).sum())
    return [
        title,
        recipe.detail,
        f"{raw['input_tokens'].median():.0f}",
        mae,
        _plain(raw),
        f"{failed} of {len(raw)}" if recipe.method != "head" else "",
        common,
    ]


def _recipe(study: Study, name: str) -> TextRecipe | None:
    experiment = study.experiments.get(name)
    recipe = study.recipes[experiment.recipe] if experiment else None
    return recipe if isinstance(recipe, TextRecipe) else None


def _errors(folder: Path) -> pd.Series[float]:
    """Signed errors by id, named after the experiment."""
    table = read_parquet(folder / "predictions.parquet", ("id", "target", "prediction"))
    return (table["prediction"] - table["target"]).set_axis(table["id"]).rename(folder.name)


def _correlation(one: pd.Series[float], two: pd.Series[float]) -> str:
    both = pd.concat([one, two], axis=1, join="inner").to_numpy()
    if not both.std(axis=0).all():
        return "none: its errors are all the same"
    return f"{np.corrcoef(both.T)[0, 1]:+.2f}"


def _plain(raw: pd.DataFrame) -> str:
    """MAE of the most probable answers, where they were asked for beside the medians."""
    if raw["plain_value"].isna().all():
        return ""
    return value_text(float((raw["plain_value"] - raw["ground_truth"]).abs().mean()))
