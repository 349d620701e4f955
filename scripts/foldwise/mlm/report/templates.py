"""Filling the templates of `reports/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foldwise.common.names import safe_name
from foldwise.common.templates import fill_template


def render(template: str, context: dict[str, Any]) -> str:
    """Fill a template; one newline at the end."""
    filters: dict[str, Callable[..., Any]] = {
        "percent": percent_text,
        "points": points_text,
        "span": span_text,
        "pspan": points_span,
        "folder": safe_name,
    }
    return fill_template(template, context, filters)


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
