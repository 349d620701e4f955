"""Filling the templates of `reports/`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foldwise.experiment.names import safe_name

REPOSITORY = Path(__file__).resolve().parents[3]
LINE_WIDTH = 98


def render(template: str, context: dict[str, Any]) -> str:
    """Fill a template; one newline at the end."""
    environment = Environment(
        loader=FileSystemLoader(REPOSITORY / "reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  The output is plain text.
    )
    environment.filters.update(
        fill=_fill,
        percent=percent_text,
        points=points_text,
        span=span_text,
        pspan=points_span,
        folder=safe_name,
    )
    return environment.get_template(template).render(context).rstrip("\n") + "\n"


def percent_text(rate: float | None) -> str:
    """A rate in percent, e.g. `12.75 %`; a dash where there is none."""
    return "-" if rate is None else f"{100 * rate:.2f} %"


def points_text(difference: float) -> str:
    """A difference of rates in points, e.g. `+1.34`."""
    return f"{100 * difference + 0.0:+.2f}"


def span_text(interval: list[float]) -> str:
    """An interval of a rate, e.g. `6.90 to 19.00 %`."""
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f} %"


def points_span(interval: list[float]) -> str:
    """An interval of a difference, e.g. `-1.20 to +3.40`."""
    return f"{points_text(interval[0])} to {points_text(interval[1])}"


def _fill(text: str, indent: str = "", first: str | None = None) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        LINE_WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
