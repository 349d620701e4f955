"""What README.txt says of a language model: how it answers, and what became of its outputs."""

from __future__ import annotations

import pandas as pd

from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.types import Json
from foldwise.statistics.wording import plural, value_text
from foldwise.study.outside.text import TEXT

_TOLD = {
    "id": "the crystal's id alone",
    "formula": "the crystal's formula alone",
    "composition": "formula and shares of elements",
    "cell": "formula, space group and cell",
    "sites": "formula, space group, cell, sites and bond lengths",
}


def language_model_paragraph(fit: Json) -> str | None:
    """How a language model answers; `None` of another kind of model.

    Args:
        fit: `fit.json` of a model.
    """
    if fit.get("kind") != TEXT:
        return None
    recipe = fit["hyperparams"]
    shots = plural(int(recipe["shots"]), "fitted crystal")
    how = {
        "zero_shot": "it was asked about the crystal, and fitted to nothing",
        "few_shot": f"it was shown {shots} and their targets first, none of the formula in "
        "question, and fitted to nothing",
        "head": "a linear head reads the number off its states of the text; head and adapters in "
        "the layers below were fitted to the training rows, where that helped on the hold-out"
        if recipe["backbone"] == "adapted"
        else "a linear head, fitted to the training rows, reads the number off its states",
        "written": "adapters in its layers were fitted to the training rows, so that it writes the "
        "number",
    }[recipe["method"]]
    said = {
        "median": " The number is the median of its distribution over numbers of the task's "
        "format, which is what a mean absolute error asks for.",
        "free": " The number is read from its own words; where there is none, the median of the "
        "training targets stands in.",
    }[recipe["decoding"]]
    return (
        f"The prediction of a crystal is the answer of a language model "
        f"({recipe['language_model']}) that was told {_TOLD[recipe['detail']]}: {how}."
        f"{'' if recipe['method'] == 'head' else said}"
    )


def output_lines(raw: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Counts and errors of the outputs, each with its name.

    Args:
        raw: As `read_raw_outputs` has it.
    """
    if raw is None:
        return []
    failed = raw["parse_status"] != OK
    errors = (raw["prediction"] - raw["ground_truth"]).abs()
    lines = [
        ("outputs without a number", f"{int(failed.sum())} of {len(raw):,}"),
        ("MAE with them", f"{value_text(errors.mean())}  (they got the training median)"),
        ("MAE without them", value_text(errors[~failed].mean()) if not failed.all() else "unknown"),
    ]
    if "plain_value" in raw and raw["plain_value"].notna().any():
        plain = (raw["plain_value"] - raw["ground_truth"]).abs()
        lines.append(
            ("MAE of plain decoding", f"{value_text(plain.mean())}  (most probable digits)")
        )
    return lines
