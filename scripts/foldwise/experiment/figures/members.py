"""The figure of a combination: its error beside those of the recorded teachers it is made of."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import value_text


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
