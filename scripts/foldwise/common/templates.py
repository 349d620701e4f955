"""Filling the templates of `reports/`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foldwise.common.files import REPOSITORY

TEMPLATES = REPOSITORY / "reports"
LINE_WIDTH = 98


def fill_template(
    name: str, context: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]]
) -> str:
    """Fill a template with `filters` and `fill`; one newline at the end."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  The output is plain text.
    )
    environment.filters.update(filters, fill=fill_paragraph)
    return environment.get_template(name).render(context).rstrip("\n") + "\n"


def fill_paragraph(text: str, indent: str = "", first: str | None = None) -> str:
    """One paragraph broken into lines; `first` stands before its first line."""
    return textwrap.fill(
        " ".join(text.split()),
        LINE_WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
