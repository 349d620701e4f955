"""Files of an attempt: copied, linked or by reference, each with size and checksum."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from foldwise.common.files import atomic_path, file_sha256

Artifact = dict[str, Any]
Artifacts = dict[str, Artifact]

LARGE = 10_000_000
"""Bytes from which on a file is linked rather than copied."""
DETAIL = "detail.zip"
_DETAIL = ("raw_outputs.parquet", "calls/**/*", "diagnostics/**/*")
_TIME = (1980, 1, 1, 0, 0, 0)
COPY, REFERENCE = "copy", "reference"


def keep(run: Path, attempt: int, files: Mapping[str, Path], *, copy: bool = True) -> Artifacts:
    """Copy files into an attempt's folder, or note where they are; files that are absent are left.

    A large file gets a second name there, which stays if the first one is replaced; on a file
    system without links only its place is noted.

    Args:
        run: Folder of the run.
        attempt: Number of the attempt.
        files: File by name, a path with `/`.
        copy: Whether files are kept; otherwise all are references, as models are.

    Returns:
        By name: `path` (of a copy from the run's folder, of a reference from that of the results),
        `bytes`, `sha256`, and `stored`, `copy` or `reference`.
    """
    kept: Artifacts = {}
    for name, source in sorted(files.items()):
        if not source.is_file():
            continue
        size = source.stat().st_size
        place = run / f"attempt_{attempt}" / name
        if copy and _kept(source, place, size):
            path, stored = f"attempt_{attempt}/{name}", COPY
        else:
            path, stored = os.path.relpath(source, run.parents[1]), REFERENCE
        kept[name] = {"path": path, "bytes": size, "sha256": file_sha256(source), "stored": stored}
    return kept


def _kept(source: Path, place: Path, size: int) -> bool:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place == source:
        return True
    if size < LARGE:
        shutil.copyfile(source, place)
        return True
    place.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(source, place)
    return place.exists()


def pack_detail(results: Path, run: Path, attempt: int) -> dict[str, Path]:
    """Pack what a result folder says in detail into one file of the attempt.

    Prompts and outputs of language models, and all diagnostics: the next result replaces them.

    Args:
        results: The result folder.
        run: Folder of the run.
        attempt: Number of the attempt.

    Returns:
        The packed file by name, for `keep`; empty if there is no detail.
    """
    files = sorted(path for pattern in _DETAIL for path in results.glob(pattern) if path.is_file())
    if not files:
        return {}
    place = run / f"attempt_{attempt}" / DETAIL
    with atomic_path(place) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in files:
            info = zipfile.ZipInfo(path.relative_to(results).as_posix(), _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as packed, path.open("rb") as source:
                shutil.copyfileobj(source, packed)
    return {DETAIL: place}


def place_of(run: Path, artifact: Mapping[str, Any]) -> Path:
    """Where an artifact of a run lies."""
    return (run if artifact["stored"] == COPY else run.parents[1]) / str(artifact["path"])


def differing(run: Path, artifacts: Mapping[str, Artifact]) -> Iterator[tuple[str, str]]:
    """Artifacts that are no longer what was recorded: name, and `changed` or `gone`."""
    for name, artifact in artifacts.items():
        path = place_of(run, artifact)
        if not path.is_file():
            yield name, "gone"
        elif path.stat().st_size != artifact["bytes"] or file_sha256(path) != artifact["sha256"]:
            yield name, "changed"
