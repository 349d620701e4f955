"""The libraries and scripts that every site carries, each as it was published."""

from __future__ import annotations

import shutil
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, read_json
from foldwise.common.templates import TEMPLATES
from foldwise.experiment.inputs.types import Json

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
