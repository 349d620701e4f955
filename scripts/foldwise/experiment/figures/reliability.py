"""How often the prediction intervals hold, at every nominal coverage."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foldwise.common.figure_style import BLUE, DARK
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.experiment.record.intervals import covered_at
from foldwise.statistics.answer_intervals import CONFIDENCE
from foldwise.statistics.intervals import clustered_means
from foldwise.statistics.wording import value_text

LEVELS = tuple(float(level) for level in np.arange(10, 20) / 20)


def reliability_figure(inputs: ExperimentInputs, rows: TestRows) -> Figure:
    """Share of test crystals inside their interval over its nominal coverage, with 95 % bands."""
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    axes = figure.add_subplot()
    inside = covered_at(inputs, rows, LEVELS)
    known = np.isfinite(inside).all(axis=0)
    nominal = 100 * np.array(LEVELS)[known]
    axes.plot([50, 100], [50, 100], color=DARK, linewidth=1, label="as often as named")
    if known.any():
        means = clustered_means(inside[:, known], rows.table["formula"].to_numpy())
        bands = [means.interval([column]) for column in range(int(known.sum()))]
        low = [100 * band.low for band in bands]
        high = [100 * min(band.high, 1.0) for band in bands]
        axes.fill_between(nominal, low, high, color=BLUE, alpha=0.2, linewidth=0,
                          label="95 %, other test formulas")  # fmt: skip
        axes.plot(nominal, 100 * means.observed, color=BLUE, marker="o", markersize=4,
                  label="test crystals")  # fmt: skip
    axes.set(xlim=(50, 100), ylim=(min(50, axes.get_ylim()[0]), 100))
    axes.set_xlabel("nominal coverage of the interval (%)")
    axes.set_ylabel("test crystals inside the interval (%)")
    axes.set_title(_finding(inputs, rows))
    axes.legend(loc="upper left")
    return figure


def _finding(inputs: ExperimentInputs, rows: TestRows) -> str:
    held = rows.table[rows.table["low"].notna()]
    if held.empty:
        return f"{inputs.name} held out too few crystals\nfor intervals of {100 * CONFIDENCE:.0f} %"
    inside = (held["low"] <= held["target"]) & (held["target"] <= held["high"])
    width = value_text(float((held["high"] - held["low"]).mean()))
    share = f"{100 * inside.mean():.1f} %"
    return (
        f"Intervals of {100 * CONFIDENCE:.0f} % around {inputs.name} hold {share} of the\n"
        f"test crystals; mean width {width} {inputs.unit}"
    )
