"""The errors of an ensemble's members: of recorded teachers, and how far recipes err together."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.experiment.record.mixed import error_correlation, recipe_answers
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import value_text

_LIGHT = 0.6  # of the scale: darker cells take white letters


def members_figure(inputs: ExperimentInputs, rows: TestRows, colours: tuple[str, str]) -> Figure:
    """MAE of each member and of the combination: a bar for the mean over folds, a dot per fold.

    Args:
        inputs: The experiment's inputs.
        rows: All test rows.
        colours: Of the members, and of the combination.
    """
    maes = {str(label): _fold_maes(rows, rows.members[label].to_numpy()) for label in inputs.labels}
    best = min(maes, key=lambda name: float(maes[name].mean()))
    order = sorted(maes, key=lambda name: -float(maes[name].mean()))
    maes[inputs.name] = _fold_maes(rows, rows.table["prediction"].to_numpy())
    shown = [*order, inputs.name]
    figure = Figure(figsize=(7.6, 1.6 + 0.55 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for position, name in enumerate(shown):
        colour = colours[1] if name == inputs.name else colours[0]
        mean = float(maes[name].mean())
        axes.barh(position, mean, color=colour, height=0.62)
        axes.plot(maes[name], [position] * len(maes[name]), "o", color="#222222", markersize=3)
        axes.annotate(
            value_text(mean),
            (max(mean, float(maes[name].max())), position),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(shown)), shown)
    axes.set_xlim(0, 1.15 * max(float(values.max()) for values in maes.values()))
    axes.set_xlabel(f"MAE ({inputs.unit}); bars: mean over folds, dots: single folds")
    axes.grid(axis="y", visible=False)
    own, other = float(maes[inputs.name].mean()), float(maes[best].mean())
    word = "less" if own < other else "more"
    axes.set_title(
        f"{inputs.name} errs {abs(1 - own / other):.0%} {word} than its best member,\n{best}"
    )
    return figure


def _fold_maes(rows: TestRows, prediction: Floats) -> Floats:
    error = np.abs(prediction - rows.table["target"].to_numpy())
    folds = rows.table["fold"].to_numpy()
    return np.array([error[folds == fold].mean() for fold in np.unique(folds)])


def correlation_figure(inputs: ExperimentInputs, rows: TestRows) -> Figure:
    """Matrix of the correlations of the recipes' errors on test rows."""
    columns = recipe_answers(inputs, rows)
    names = [str(name) for name in columns.columns]
    return matrix_figure(names, error_correlation(columns, rows))


def matrix_figure(names: list[str], matrix: Floats) -> Figure:
    """The figure of a matrix `[m, m]` of correlations between the recipes `names`."""
    side = 2.6 + 0.9 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(matrix, vmin=0.0, vmax=1.0, cmap="Blues")
    for row in range(len(names)):
        for column in range(len(names)):
            value = float(matrix[row, column])
            colour = "white" if value > _LIGHT else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.75, label="correlation of signed errors")
    # From the figure's edge on: above the matrix alone there is no room for long names.
    figure.suptitle(_finding(names, matrix), x=0.02, ha="left", fontsize="large", weight="bold")
    return figure


def _finding(names: list[str], matrix: Floats) -> str:
    if len(names) < 2:
        return "One recipe alone answers"
    pairs = [(matrix[a, b], names[a], names[b]) for a in range(len(names)) for b in range(a)]
    low, high = min(pairs), max(pairs)
    if len(pairs) == 1:
        return f"Errors of {low[1]}\nand {low[2]} correlate by {low[0]:.2f}"
    return (
        "Errors have least in common between\n"
        f"{low[1]} and {low[2]} ({low[0]:.2f}),\n"
        f"most between {high[1]} and {high[2]} ({high[0]:.2f})"
    )
