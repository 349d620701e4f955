"""What every site carries as it was published, and how its templates are filled."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, read_json
from foldwise.common.templates import TEMPLATES
from foldwise.experiment.inputs.types import Json
from foldwise.statistics.wording import duration_text, signed_text, value_text

SOURCE = TEMPLATES / "site"
VENDOR = SOURCE / "vendor"
MANIFEST = VENDOR / "manifest.json"
SCRIPTS = SOURCE / "scripts"
STYLE = SOURCE / "style.css"


def read_manifest() -> list[Json]:
    """The vendored libraries: name, version, licence, source, and files with their checksums."""
    libraries: list[Json] = read_json(MANIFEST)["libraries"]
    return libraries


def copy_assets(site: Path) -> None:
    """Copy style, scripts and libraries, licences included, below `{site}/assets`.

    Raises:
        FoldwiseError: A library is not the file that the manifest names.
    """
    target = site / "assets"
    for library in read_manifest():
        for name, checksum in library["files"].items():
            source = VENDOR / name
            if not source.is_file() or file_sha256(source) != checksum:
                raise FoldwiseError(
                    f"it is not {library['name']} {library['version']} as published",
                    where=str(source),
                    hint="Restore it: git checkout reports/site/vendor",
                )
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    for source in (STYLE, *sorted(SCRIPTS.glob("*.js"))):
        shutil.copyfile(source, target / source.name)


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
