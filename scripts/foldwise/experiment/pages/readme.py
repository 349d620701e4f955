"""`README.txt`: what a stranger needs to understand an experiment, from purpose to comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import pandas as pd

from foldwise.common.files import flatten
from foldwise.common.templates import fill_template
from foldwise.experiment.comparison.compare import speed_text, teacher_text
from foldwise.experiment.comparison.leaderboard import CONTAMINATION, read_leaderboard, standing
from foldwise.experiment.inputs.combined import member_lines, model_text
from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.experiment.record.mixed import mixed_lines, mixed_paragraphs
from foldwise.experiment.record.outside import made_elsewhere
from foldwise.experiment.review.checks import review_lines
from foldwise.statistics.wording import (
    duration_text,
    listing,
    plural,
    signed_text,
    value_text,
)
from foldwise.study.outside.text import TEXT
from foldwise.study.recipe import Recipe

WORST_GROUPS = 5
_TOLD = {
    "id": "the crystal's id alone",
    "formula": "the crystal's formula alone",
    "composition": "formula and shares of elements",
    "cell": "formula, space group and cell",
    "sites": "formula, space group, cell, sites and bond lengths",
}


def readme_text(
    inputs: ExperimentInputs, rows: TestRows, record: Json, index: pd.DataFrame, review: Json
) -> str:
    """The text of `README.txt`.

    Args:
        inputs: The experiment's inputs.
        rows: All test rows.
        record: The record that will be `results.json`.
        index: `groups/_index.csv`.
        review: `diagnostics/review.json`.
    """
    return render(
        "README.txt.j2",
        {
            "name": inputs.name,
            "record": record,
            "config": inputs.config,
            "card": inputs.card,
            "unit": inputs.unit,
            "quantity": str(inputs.card["target_name"]).replace("_", " "),
            "split": next(iter(inputs.splits.values())),
            "folds": listing([str(fold) for fold in sorted(inputs.splits)]),
            "made_elsewhere": listing(made_elsewhere(record)),
            "seeds": listing([str(seed) for seed in inputs.seeds]),
            "n_test": len(rows.table),
            "n_failed": len(inputs.failures),
            "recipe_lines": _recipe_lines(inputs),
            "combined": inputs.combined is not None or inputs.mixture is not None,
            **_combination_texts(inputs, record),
            "language_model": language_model_paragraph(inputs.models[0].fit)
            if inputs.models
            else None,
            "output_lines": output_lines(inputs.raw_outputs),
            "has_structures": inputs.has_structures,
            "standing": standing(record, read_leaderboard(inputs.task)),
            "contamination": CONTAMINATION,
            "soft_targets": _soft_target_text(inputs, record),
            "worst_groups": index.head(WORST_GROUPS).to_dict("records"),
            "worst_row": rows.table.iloc[0].to_dict(),
            "comparison_rows": _comparison_rows(inputs, record),
            "comparisons": _comparison_texts(inputs, record),
            "notes": _comparison_notes(inputs, record),
            "review_lines": review_lines(review),
            "review": review,
        },
    )


def _combination_texts(inputs: ExperimentInputs, record: Json) -> dict[str, list[str]]:
    """What a combination is made of, in paragraphs and as a table; nothing of one model."""
    texts: tuple[list[str], list[str]] = [], []
    if inputs.combined is not None:
        texts = model_text(inputs.combined), member_lines(inputs.combined)
    elif inputs.mixture is not None:
        texts = mixed_paragraphs(inputs), mixed_lines(record)
    return {"model_paragraphs": texts[0], "member_lines": texts[1]}


def render(template: str, context: dict[str, Any]) -> str:
    """Fill a template of `reports/` with the project's filters; one newline at the end."""
    filters: dict[str, Callable[..., Any]] = {
        "value": value_text,
        "signed": signed_text,
        "duration": duration_text,
        "plural": plural,
    }
    return fill_template(template, context, filters)


def _recipe_lines(inputs: ExperimentInputs) -> list[tuple[str, str]]:
    """Options of the recipe that are set, and not to their default."""
    defaults = flatten(Recipe().as_dict())
    lines = sorted(flatten(inputs.recipe).items())
    return [
        (key, str(value).replace("\n", "\\n"))
        for key, value in lines
        if value is not None and (key not in defaults or value != defaults[key])
    ]


def _soft_target_text(inputs: ExperimentInputs, record: Json) -> str | None:
    teacher = inputs.recipe.get("teacher")
    if not teacher:
        return None
    weighting = teacher.get("weighting")
    fits = [model.fit for model in inputs.models]
    tried = teacher["soft_weight"]
    labelled = "in the loss of a crystal that they labelled,"
    # A mixed ensemble answers by its rule, others with the mean of their models.
    answer = "its answer" if teacher.get("members") else "their mean"
    if teacher["targets"] == "augmented":
        share = f"a copy of a crystal is fitted to {answer} alone, a crystal to its DFT value"
    elif isinstance(tried, list):
        chosen = sorted({float(flatten(fit["hyperparams"])["teacher.soft_weight"]) for fit in fits})
        listed = listing([f"{weight:g}" for weight in tried])
        share = (
            f"{labelled} {answer} weighs {listing([f'{weight:g}' for weight in chosen])} (of "
            f"{listed}, by the error on the hold-out) and the DFT value the rest"
        )
    else:
        share = f"{labelled} {answer} weighs {tried:g} and the DFT value {1 - tried:g}"
    soft, hard = (mean(fit[key] for fit in fits) for key in ("n_soft_targets", "n_train"))
    agreement = (
        " Rows on which the teachers disagree count less." if weighting == "disagreement" else ""
    )
    return (
        f"The student learns from {teacher_text(teacher)}: {share}.{agreement} Per "
        f"model, {soft:,.0f} soft targets go with {hard:,.0f} labelled training crystals. "
        f"{record['leakage']['soft_targets']['statement']}"
    )


def _comparison_rows(inputs: ExperimentInputs, record: Json) -> list[dict[str, Any]]:
    """The table of this experiment and those it is compared with."""
    records = [record, *(parent.record for parent in inputs.parents)]
    return [
        {
            "name": str(entry["experiment"]).upper(),
            "title": entry["title"],
            "mae": entry["metrics"]["aggregate"]["mae_mean"],
            "std": entry["metrics"]["aggregate"]["mae_std"]
            if len(entry["metrics"]["folds"]) > 1
            else None,
            "pooled": entry["metrics"]["pooled"]["mae"],
            "passes": entry["compute"]["inference"]["passes_per_prediction"],
            "parameters": entry["compute"]["inference"]["parameters"],
            "speed": entry["compute"]["inference"]["structures_per_s"],
            "training": entry["compute"]["wall_time_sec"],
            "start": start_text(entry),
        }
        for entry in records
    ]


def start_text(record: Json) -> str:
    """What an experiment's models started from, in a word."""
    if record["leakage"]["recorded_teachers"]:
        return "recorded"
    if made_elsewhere(record):
        return "unknown"
    return "pretrained" if record["leakage"]["pretrained"] else "scratch"


def _comparison_texts(inputs: ExperimentInputs, record: Json) -> list[str]:
    return [
        f"{entry['verdict']} {speed_text(inputs.name, entry['against'].upper(), entry['cost'])}"
        for entry in record["decision"]["comparisons"]
    ]


def _comparison_notes(inputs: ExperimentInputs, record: Json) -> list[str]:
    """What a reader must know before believing the comparison."""
    rule = record["decision"]["rule"]
    notes = [f"By the study's rule: {rule['reason']}"] if rule else []
    notes += _spread_notes([parent.record for parent in inputs.parents])
    own = record["leakage"]
    unequal = [
        parent.experiment.upper()
        for parent in inputs.parents
        if parent.record["leakage"]["test_structures_presumably_seen"]
        != own["test_structures_presumably_seen"]
    ]
    if unequal:
        notes.append(
            f"{listing([inputs.name, *unequal])} do not start alike: one side uses pretrained "
            "weights that presumably saw the test crystals, the other does not. The difference is "
            "not one of method."
        )
    total = record["compute"]["wall_time_with_teachers_sec"]
    if total is not None:
        own_time = duration_text(record["compute"]["wall_time_sec"])
        notes.append(
            f"Training {inputs.name} needs its teachers first: together {duration_text(total)} "
            f"instead of {own_time}."
        )
    return notes


def _spread_notes(records: Sequence[Json]) -> list[str]:
    notes = []
    for entry in records:
        if entry["ensemble"] and not entry["combination"] and "mixed" not in entry:
            maes = [float(member["mae"]) for member in entry["ensemble"]["members"]]
            notes.append(
                f"The single members of {str(entry['experiment']).upper()} have MAEs of "
                f"{value_text(min(maes))} to {value_text(max(maes))} {entry['unit']}: a single "
                "model of another seed could move by about as much as these members differ."
            )
    return notes


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
