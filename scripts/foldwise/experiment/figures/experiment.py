"""The figures of an experiment, each as PNG and SVG, each titled with what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from foldwise.common.figure_style import BLUE, DARK, ORANGE, STYLE, save_figure
from foldwise.experiment.figures.members import correlation_figure, members_figure
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Model
from foldwise.experiment.record.intervals import covered_at
from foldwise.experiment.tables.groups import Group
from foldwise.statistics.answer_intervals import CONFIDENCE
from foldwise.statistics.intervals import clustered_means
from foldwise.statistics.metrics import Floats
from foldwise.statistics.wording import plural, signed_text, value_text

MAX_POINTS = 3_000
HISTOGRAM_SPAN = 99.0
LEVELS = tuple(float(level) for level in np.arange(10, 20) / 20)


def write_figures(
    folder: Path,
    inputs: ExperimentInputs,
    rows: TestRows,
    groups: Sequence[Group],
    index: pd.DataFrame,
) -> None:
    """Write `parity`, `error_distribution` and `error_by_target` below `folder`.

    To them come `learning_curves` where networks were trained, `reliability` where they left
    answers for held-out rows, `members` for a combination, and `error_correlation` for one of
    several recipes.
    """
    with rc_context(STYLE):
        save_figure(folder / "parity", parity_figure(inputs, rows))
        save_figure(folder / "error_distribution", error_distribution_figure(inputs, rows))
        save_figure(folder / "error_by_target", error_by_target_figure(inputs, rows, groups, index))
        if inputs.has_networks and inputs.mixture is None:
            save_figure(folder / "learning_curves", learning_curve_figure(inputs))
        if inputs.mixture is not None:
            save_figure(folder / "error_correlation", correlation_figure(inputs, rows))
        if inputs.combined is not None or inputs.mixture is not None:
            save_figure(folder / "members", members_figure(inputs, rows, (BLUE, ORANGE)))
        if rows.intervals:
            save_figure(folder / "reliability", reliability_figure(inputs, rows))


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    # Figures made without pyplot need no global state and no closing.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _quantity(inputs: ExperimentInputs) -> str:
    """The target in words, e.g. "formation energy"."""
    return str(inputs.card["target_name"]).replace("_", " ")


def parity_figure(inputs: ExperimentInputs, rows: TestRows) -> Figure:
    """Prediction over target, one point per test crystal (hexagons where there are many)."""
    figure, axes = new_figure(6.4, 6.2)
    target, predicted = rows.table["target"], rows.table["prediction"]
    low, high = min(target.min(), predicted.min()), max(target.max(), predicted.max())
    margin = 0.04 * (high - low) or 1.0
    span = (low - margin, high + margin)
    axes.plot(span, span, color=DARK, linewidth=1, label="perfect prediction")
    if len(rows.table) > MAX_POINTS:
        hexagons = axes.hexbin(
            target, predicted, gridsize=90, bins="log", mincnt=1, cmap="viridis", extent=span * 2
        )
        figure.colorbar(hexagons, ax=axes, label="crystals per hexagon", shrink=0.8)
    else:
        axes.scatter(target, predicted, s=16, color=BLUE, alpha=0.55, linewidth=0)
    axes.set(xlim=span, ylim=span, aspect="equal")
    axes.set_xlabel(f"DFT {_quantity(inputs)} ({inputs.unit})")
    axes.set_ylabel(f"predicted {_quantity(inputs)} ({inputs.unit})")
    mae = value_text(rows.table["abs_error"].mean())
    axes.set_title(
        f"{inputs.name} predicts {_quantity(inputs)}\nwithin {mae} {inputs.unit} on average "
        f"({plural(len(rows.table), 'test crystal')})"
    )
    axes.legend(loc="upper left")
    return figure


def error_distribution_figure(inputs: ExperimentInputs, rows: TestRows) -> Figure:
    """Histogram of the residuals; the tails beyond 99 % are gathered in the outermost bars."""
    figure, axes = new_figure(7.6, 4.6)
    residual = (rows.table["prediction"] - rows.table["target"]).to_numpy()
    p50, p95 = np.percentile(np.abs(residual), (50, 95))
    limit = float(np.percentile(np.abs(residual), HISTOGRAM_SPAN)) or 1.0
    half = int(np.clip(0.7 * len(residual) ** 0.5, 5, 40))
    edges = np.linspace(-limit, limit, 2 * half + 2)
    shown = np.clip(residual, -limit, limit)
    axes.hist(shown, bins=list(edges), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(0.0, color=DARK, linewidth=1)
    bias = float(residual.mean())
    axes.axvline(
        bias,
        color=ORANGE,
        linewidth=2,
        linestyle="--",
        label=_typeset(f"mean error {signed_text(bias)} {inputs.unit}"),
    )
    beyond = int((np.abs(residual) > limit).sum())
    axes.set_xlabel(f"prediction minus target ({inputs.unit})")
    axes.set_ylabel("test crystals")
    axes.set_title(
        f"{inputs.name} errs by less than {value_text(p50)} {inputs.unit} on half of the "
        f"crystals,\nby less than {value_text(p95)} on 95 %"
    )
    title = f"the outermost bars also hold\nthe {beyond} largest errors"
    axes.legend(loc="upper left", title=title, alignment="left")
    axes.grid(axis="x", visible=False)
    return figure


def error_by_target_figure(
    inputs: ExperimentInputs, rows: TestRows, groups: Sequence[Group], index: pd.DataFrame
) -> Figure:
    """MAE in each target quintile with its bootstrap interval, and the overall MAE as a line."""
    figure, axes = new_figure(8.4, 4.6)
    lines = index.set_index("group")
    quintiles = [group for group in groups if group.kind == "target_quintile"]
    table = pd.DataFrame([lines.loc[group.folder] for group in quintiles])
    maes = table["mae"].to_numpy(dtype=np.float64)
    ends = table[["mae_low", "mae_high"]].to_numpy(dtype=np.float64)
    lengths = np.nan_to_num(np.abs(ends - maes[:, None])).T
    overall = float(rows.table["abs_error"].mean())
    positions = range(len(quintiles))
    axes.bar(positions, maes, color=BLUE, width=0.7)
    axes.errorbar(positions, maes, yerr=lengths, fmt="none", ecolor=DARK, capsize=4, linewidth=1.2)
    axes.axhline(overall, color=ORANGE, linestyle="--", linewidth=2)
    axes.annotate(
        f"all: {value_text(overall)}",
        (1.0, overall),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        color=ORANGE,
        va="center",
    )
    labels = [_range_label(rows, int(group.value), len(group.rows)) for group in quintiles]
    axes.set_xticks(list(positions), labels, fontsize=10)
    axes.set_xlabel(f"DFT {_quantity(inputs)} ({inputs.unit}), fifths of the test crystals")
    axes.set_ylabel(f"MAE ({inputs.unit})")
    scale = overall or 1.0
    finding = _quintile_finding(
        inputs.name, table["description"].to_list(), maes / scale, ends / scale
    )
    axes.set_title(f"{finding}\n(whiskers: 95 % intervals)")
    axes.grid(axis="x", visible=False)
    return figure


def _quintile_finding(name: str, descriptions: Sequence[str], ratios: Floats, ends: Floats) -> str:
    """The title: a fifth whose interval lies beyond the overall MAE, if there is one."""
    worst, best = int(np.argmax(ratios)), int(np.argmin(ratios))
    if ends[worst, 0] > 1.0:
        chosen, word = worst, "most"
    elif ends[best, 1] < 1.0:
        chosen, word = best, "least"
    else:
        return f"On no fifth of the targets does {name} differ clearly from its overall MAE"
    fifth = descriptions[chosen].split(",")[0]
    return f"{name} errs {word} on the {fifth}: {ratios[chosen]:.1f} times its overall MAE"


def _range_label(rows: TestRows, number: int, count: int) -> str:
    low, high = rows.edges[number - 1], rows.edges[number]
    return _typeset(f"{low:.2f} to {high:.2f}\nn = {count:,}")


def _typeset(text: str) -> str:
    """Hyphens before numbers as minus signs, like those of the axes."""
    return text.replace("-", "\N{MINUS SIGN}")


def learning_curve_figure(inputs: ExperimentInputs) -> Figure:
    """MAE over epochs: one thin line per fit, the median over fits as a thick one."""
    figure, axes = new_figure(7.6, 4.6)
    for column, colour, label in (
        ("train_mae", ORANGE, "training"),
        ("val_mae", BLUE, "validation"),
    ):
        for model in inputs.models:
            axes.plot(
                model.history["epoch"], model.history[column], color=colour, alpha=0.35, linewidth=1
            )
        middle = _median_curve(inputs.models, column)
        axes.plot(middle.index, middle, color=colour, linewidth=2.5, label=label)
    best = float(np.median([model.fit["val_mae_at_best"] for model in inputs.models]))
    epoch = float(np.median([model.fit["best_epoch"] for model in inputs.models]))
    _plain_log_axis(axes)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"MAE ({inputs.unit}), log scale")
    axes.set_title(
        f"Validation MAE of {inputs.name} is lowest at epoch {epoch:g} (median of "
        f"{plural(len(inputs.models), 'fit')}),\nat {value_text(best)} {inputs.unit}"
    )
    title = "thin: one fit\nthick: their median"
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title, alignment="left")
    return figure


def _plain_log_axis(axes: Axes) -> None:
    """A logarithmic y axis whose labels are plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _median_curve(models: Sequence[Model], column: str) -> pd.Series[float]:
    """Median over fits up to the epoch that all reached: later it would jump as fits drop out."""
    curves = [model.history.set_index("epoch")[column] for model in models]
    return pd.concat(curves, axis=1, join="inner").median(axis=1)


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
