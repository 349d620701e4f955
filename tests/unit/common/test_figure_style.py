"""What users write may hold dollar signs, and log axes keep their formulas."""

from matplotlib import rc_context
from matplotlib.figure import Figure

from foldwise.common.figure_style import STYLE, save_figure


def drawn(place, unit):
    with rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        axes = figure.add_subplot()
        axes.barh([f"a {unit}", "b"], [0.1, 30.0], label=unit)
        axes.set(xscale="log", xlabel=f"MAE ({unit})", title=f"{unit} and {unit}")
        axes.legend()
        save_figure(place, figure)
    return place.with_suffix(".svg").read_text()


def test_dollars_are_written_as_they_are(tmp_path):
    for unit in ("$/kg and $", r"$\frac$", "$_x"):
        text = drawn(tmp_path / "figure", unit)
        assert f"<!-- MAE ({unit}) -->" in text
        assert r"\mathdefault{10^{0}}" in text
