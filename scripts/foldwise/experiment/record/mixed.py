"""The `mixed` block of `results.json`: weights, errors in common, what each recipe is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foldwise.experiment.comparison.paired import interval_entry
from foldwise.experiment.inputs.mixture import Mixture
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.intervals import clustered_means
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import listing, plural, signed_text, value_text

FITTED_ON = (
    "The rule was fitted on training rows of the same fold that a model of every recipe held out: "
    "it saw no test label, and no member was trained on a test row. These rows also decided when "
    "members stopped training, so a member that stops by them looks a little better there than it "
    "is; and of a recipe with several seeds one model answered there, where several answer a test "
    "row."
)
_HOW = {
    "mean": "the mean of {what}",
    "median": "the median of {what}",
    "stacked": "a weighted mean of {what}, the weights not negative and summing to 1, with the "
    "smallest MAE on held-out rows",
    "boosted": "the median of {what} plus a correction by scikit-learn's "
    "HistGradientBoostingRegressor (absolute error)",
}


def mixed_block(inputs: ExperimentInputs, rows: TestRows) -> Json | None:
    """The block; `None` of an experiment with one recipe."""
    mixture = inputs.mixture
    if mixture is None:
        return None
    columns = recipe_answers(inputs, rows)
    return {
        "rule": mixture.first["rule"],
        "solver": mixture.first["solver"],
        "options": mixture.first["options"],
        "recipes": [_recipe_entry(inputs, rows, columns, name) for name in mixture.recipes],
        "left_out": mixture.left_out,
        "folds": [
            {
                "fold": fold,
                "weights": done["weights"],
                "fitted_on_rows": done["fitted_on_rows"],
            }
            for fold, done in sorted(mixture.done.items())
        ],
        "error_correlation": {
            "recipes": mixture.recipes,
            "matrix": error_correlation(columns, rows).tolist(),
        },
        "without": [_without_entry(rows, mixture, name) for name in mixture.recipes]
        if len(mixture.recipes) > 1
        else [],
    }


def recipe_answers(inputs: ExperimentInputs, rows: TestRows) -> pd.DataFrame:
    """Mean answer of each recipe's models for every test row, in the order of the table."""
    assert inputs.mixture is not None
    labels = {name: [] for name in inputs.mixture.recipes}  # type: dict[str, list[str]]
    for model in inputs.models:
        label = inputs.label_of(model)
        if label not in labels[model.recipe]:
            labels[model.recipe].append(str(label))
    return pd.DataFrame({name: rows.members[own].mean(axis=1) for name, own in labels.items()})


def error_correlation(columns: pd.DataFrame, rows: TestRows) -> Floats:
    """Pearson correlation of the recipes' signed errors on test rows, `[m, m]`.

    Zero where a recipe's error does not vary at all.
    """
    errors = columns.to_numpy(np.float64) - rows.table["target"].to_numpy(np.float64)[:, None]
    centred = errors - errors.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(length > 0, length, 1.0)
    matrix: Floats = np.clip(scaled.T @ scaled, -1.0, 1.0)
    return matrix


def _recipe_entry(
    inputs: ExperimentInputs, rows: TestRows, columns: pd.DataFrame, name: str
) -> Json:
    models = [model for model in inputs.models if model.recipe == name]
    error = (columns[name].to_numpy() - rows.table["target"].to_numpy()).__abs__()
    return {
        "recipe": name,
        "kind": str(models[0].fit.get("kind", "network")),
        "seeds": sorted({model.seed for model in models}),
        "mae": float(error.mean()),
        "wall_time_sec": sum(float(model.fit["wall_time_sec"]) for model in models),
    }


def _without_entry(rows: TestRows, mixture: Mixture, name: str) -> Json:
    """MAE of the same rule without a recipe, and its paired difference to the MAE with it."""
    answers = pd.concat(list(mixture.without.values()))[name].loc[rows.table["id"]]
    target = rows.table["target"].to_numpy()
    errors = np.stack([np.abs(answers.to_numpy() - target), rows.table["abs_error"]], axis=1)
    means = clustered_means(errors, rows.table["formula"].to_numpy())
    interval = means.interval([0], [1])
    return {
        "recipe": name,
        "mae": float(errors[:, 0].mean()),
        "costs": interval.estimate,
        **interval_entry(interval),
    }


def mixed_paragraphs(inputs: ExperimentInputs) -> list[str]:
    """Section MODEL of the README: the rule, on what it was fitted, who is missing."""
    mixture = inputs.mixture
    assert mixture is not None
    what = f"the answers of {listing(mixture.recipes)}; seeds of one recipe answer as their mean"
    parts = [
        f"The prediction of a crystal is {_HOW[str(mixture.first['rule'])].format(what=what)}."
    ]
    rows = [int(done["fitted_on_rows"]) for done in mixture.done.values()]
    if max(rows):
        many = f"{min(rows):,}" if min(rows) == max(rows) else f"{min(rows):,} to {max(rows):,}"
        parts[0] += f" {FITTED_ON} A fold had {many} such rows."
    parts += [
        f"{one['recipe']}, seed {one['seed']}, is missing: {one['reason']}."
        for one in mixture.left_out
    ]
    return parts


def mixed_lines(record: Json) -> list[str]:
    """A table for the README: each recipe, its MAE, its weight, and what leaving it out costs."""
    block = record["mixed"]
    costs = {entry["recipe"]: entry for entry in block["without"]}
    width = max(12, *(len(entry["recipe"]) for entry in block["recipes"]))
    lines = [
        f"  {'recipe':<{width}} {'models':>6}  {'MAE':>8}  {'weight':>6}  without it [95 %]",
    ]
    for entry in block["recipes"]:
        name = entry["recipe"]
        weights = [fold["weights"][name] for fold in block["folds"] if fold["weights"]]
        weight = f"{np.mean(weights):6.3f}" if weights else "     -"
        cost = costs.get(name)
        text = (
            "-"
            if cost is None
            else f"{signed_text(cost['costs'])} [{signed_text(cost['interval'][0])}, "
            f"{signed_text(cost['interval'][1])}]"
        )
        count = len(entry["seeds"])
        lines.append(
            f"  {name:<{width}} {count:>6}  {value_text(entry['mae']):>8}  {weight}  {text}"
        )
    return [*lines, f"  ({plural(len(block['recipes']), 'recipe')}; weights are means over folds)"]
