"""Filling the site's templates; everything that comes from data is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foldwise.site.pages.assets import SOURCE
from foldwise.statistics.wording import duration_text, signed_text, value_text


def render_index(context: Mapping[str, Any]) -> str:
    """The text of `index.html`."""
    environment = Environment(
        loader=FileSystemLoader(SOURCE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update(
        value=value_text,
        signed=signed_text,
        duration=duration_text,
        part=path_part,
        count=lambda number: f"{number:,}",
    )
    return environment.get_template("index.html.j2").render(context)


def path_part(text: object) -> str:
    """One part of an address behind the `#`; `=` stays readable."""
    return quote(str(text), safe="=")


def copy_text(source: Path) -> str:
    """A text file's content."""
    return source.read_text(encoding="utf-8")
