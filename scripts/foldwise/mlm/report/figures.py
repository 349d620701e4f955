"""Figures of the masked-LM results, each as PNG and SVG, each titled with what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from foldwise.common.figure_style import BLUE, DARK, GREEN, GREY, ORANGE, STYLE, save_figure
from foldwise.mlm.report.groups import KINDS

_METRICS = (("real1", "Real@1", BLUE, "o"), ("real5", "Real@5", ORANGE, "s"))
_LAMBADA = ("lambada_top1", "LAMBADA@1", GREEN, "^")


def write_group_figure(stem: Path, index: pd.DataFrame, metrics: dict[str, Any], name: str) -> None:
    """Real@1 and Real@5 of every group with their intervals, and the model-free floor."""
    with rc_context(STYLE):
        order = {kind: place for place, kind in enumerate(KINDS)}
        table = index.assign(order=index["kind"].map(order)).sort_values(["order", "value"])
        labels = [
            f"{str(row['kind']).replace('_', ' ')}: {_ascii(str(row['value']))} (n={row['n']})"
            for row in table.to_dict("records")
        ]
        figure = Figure(figsize=(8.4, 1.9 + 0.34 * len(table)), layout="constrained")
        axes = figure.add_subplot()
        places = list(range(len(table)))[::-1]
        for column, label, colour, marker in _METRICS:
            value = table[column]
            reach = [value - table[f"{column}_low"], table[f"{column}_high"] - value]
            shift = 0.13 if column == "real1" else -0.13
            axes.errorbar(
                value, [place + shift for place in places], xerr=reach, fmt=marker, color=colour,
                markersize=5, capsize=2.5, linewidth=1.2, label=label,
            )  # fmt: skip
            axes.plot(
                table[f"floor_{column}"], [place + shift for place in places], linestyle="none",
                marker="|", markersize=10, markeredgewidth=2.5, color=colour, alpha=0.45,
                label=f"{label} of the most frequent visible nouns",
            )  # fmt: skip
        axes.set_yticks(places, labels)
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("samples answered correctly (whiskers: 95 % intervals over texts)")
        axes.grid(axis="y", visible=False)
        axes.set_title(
            f"{name}: Real@1 {100 * metrics['real1']['value']:.1f} %, "
            f"Real@5 {100 * metrics['real5']['value']:.1f} %"
        )
        figure.legend(loc="outside lower center", ncols=2)
        save_figure(stem, figure)


def write_learning_curve(stem: Path, table: pd.DataFrame, title: str) -> None:
    """The metrics over training steps with their intervals; phases of training side by side.

    Args:
        stem: Path without suffix.
        table: One row per checkpoint in order: `label`, `phase`, and each metric with `_low` and
            `_high`, as in `summary.csv`.
        title: What the figure shows.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 2.8 + 0.95 * len(table)), 5.0), layout="constrained")
        axes = figure.add_subplot()
        places = list(range(len(table)))
        metrics = _METRICS if table["lambada_top1"].isna().all() else (*_METRICS, _LAMBADA)
        for shift, (column, label, colour, marker) in enumerate(metrics):
            value = table[column]
            reach = [value - table[f"{column}_low"], table[f"{column}_high"] - value]
            axes.errorbar(
                [place + 0.04 * shift for place in places], value, yerr=reach, marker=marker,
                color=colour, capsize=3, linewidth=1.6, label=label,
            )  # fmt: skip
        for column, label, colour, _ in _METRICS:
            axes.axhline(
                table[f"floor_{column}"].iloc[0], color=colour, linestyle=":", linewidth=1.4,
                label=f"{label} of the most frequent visible nouns",
            )  # fmt: skip
        _mark_phases(axes, table["phase"].tolist())
        axes.set_xticks(places, table["step"].astype(str).tolist())
        axes.set_xlabel("training step of the checkpoint")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
        axes.set_ylim(bottom=-0.01)
        axes.set_xlim(-0.4, len(table) - 0.6)
        axes.set_ylabel("samples answered correctly")
        axes.set_title(title, pad=24)
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside lower center", ncols=2)
        save_figure(stem, figure)


def _mark_phases(axes: Any, phases: Sequence[str]) -> None:
    """A line where a new phase of training begins, and each phase's name at the top."""
    starts = [at for at, phase in enumerate(phases) if at == 0 or phase != phases[at - 1]]
    if len(starts) < 2:
        return
    for start, end in zip(starts, [*starts[1:], len(phases)], strict=True):
        if start:
            axes.axvline(start - 0.5, color=GREY, linewidth=1)
        axes.annotate(
            phases[start], ((start + end - 1) / 2, 1.0), xycoords=("data", "axes fraction"),
            xytext=(0, 2), textcoords="offset points", ha="center", fontsize=10, color=DARK,
        )  # fmt: skip


def _ascii(text: str) -> str:
    """Labels without letters that the figure's font lacks."""
    return text.encode("ascii", "replace").decode()
