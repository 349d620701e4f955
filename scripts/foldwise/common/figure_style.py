"""How all figures look, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from foldwise.common.files import atomic_path

# Okabe and Ito's palette: distinct for all common kinds of colour blindness.
BLUE, ORANGE, GREEN, GREY, DARK = "#0072B2", "#D55E00", "#009E73", "#8C8C8C", "#222222"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "foldwise",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DARK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 160,
}


def save_figure(stem: Path, figure: Figure) -> None:
    """Write `stem.png` and `stem.svg`, of equal bytes for equal content.

    A dollar sign in a unit, a title or a name is itself, not the begin of a formula.
    """
    for text in _texts(figure):
        if "$" in text.get_text():
            text.set_parse_math(False)
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with atomic_path(stem.with_suffix(f".{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata)


def _texts(figure: Figure) -> list[Text]:
    """All texts but the labels of logarithmic axes, which are formulas."""
    found = figure.findobj(Text)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() != "log":
                found += axis.get_ticklabels()
    return [each for each in found if isinstance(each, Text)]
