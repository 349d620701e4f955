"""The figure of the ablation: differences with their intervals, and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foldwise.common.figure_style import BLUE, DARK, GREY, ORANGE

COLOURS = {"better": BLUE, "worse": ORANGE, "even": GREY}
NAMES = {
    "better": "lower MAE, interval without zero",
    "worse": "higher MAE, interval without zero",
    "even": "interval with zero: no difference shown",
}
ROW_HEIGHT = 0.36  # inches


def ablation_figure(table: pd.DataFrame) -> Figure:
    """Left the difference of the MAE, right the cost of training; one line per comparison.

    Comparisons of a pretrained with a from-scratch experiment are left to the table: their
    differences are no matter of method, and would squeeze all others to a point.

    Args:
        table: What `foldwise.experiment.pages.ablation.ablation_table` returns.
    """
    shown = table[table["same_start"].astype(bool)].reset_index(drop=True)
    height = 2.0 + ROW_HEIGHT * max(1, len(shown))
    figure = Figure(figsize=(10.5, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2], sharey=True)
    _differences(left, shown)
    _costs(right, shown)
    if len(shown):
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _differences(axes: Axes, table: pd.DataFrame) -> None:
    axes.axvline(0, color=DARK, linewidth=1)
    for verdict, rows in table.groupby("verdict"):
        # In per cent: a series from scratch errs ten times as much as a pretrained one.
        middle, low, high = (
            (100 * rows[key] / rows["mae_against"]).to_numpy()
            for key in ("delta_mae", "low", "high")
        )
        axes.errorbar(
            middle,
            rows.index.to_numpy(),
            xerr=np.stack([middle - low, high - middle]),
            fmt="o",
            color=COLOURS[str(verdict)],
            capsize=3,
            label=NAMES[str(verdict)],
        )
    names = [
        f"{row.experiment} against {row.against}".upper().replace(" AGAINST ", " against ")
        for row in table.itertuples()
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("difference of the MAE, % (left is better), 95 % interval")
    axes.set_title("What each change did to the error")


def _costs(axes: Axes, table: pd.DataFrame) -> None:
    ratio = table["training_seconds"] / table["training_seconds_against"]
    axes.barh(table.index, ratio - 1, left=1, height=0.55, color=GREY)
    axes.axvline(1, color=DARK, linewidth=1)
    for at, value in enumerate(ratio):
        row = table.iloc[at]
        own, other = row["passes"], row["passes_against"]
        noun = "pass" if own == 1 else "passes"
        text = f"× {value:.1f}" + ("" if own == other else f", {own} {noun} instead of {other}")
        axes.annotate(
            text, (max(value, 1), at), xytext=(5, 0), textcoords="offset points", va="center"
        )
    axes.set_xlim(0, max(2.0, float(ratio.max() if len(ratio) else 1) * 2.6))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("cost of training, as a multiple")
    axes.set_title("… and to its cost")
