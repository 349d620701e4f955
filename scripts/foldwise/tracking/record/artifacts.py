"""Files of an attempt: small ones copied, large ones by reference, each with size and checksum."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foldwise.common.files import file_sha256

Artifact = dict[str, Any]
Artifacts = dict[str, Artifact]

LARGE = 10_000_000
"""Bytes from which on a file is kept by reference."""
COPY, REFERENCE = "copy", "reference"


def keep(run: Path, attempt: int, files: Mapping[str, Path], *, copy: bool = True) -> Artifacts:
    """Copy files into an attempt's folder, or note where they lie; files that are absent are left.

    Args:
        run: Folder of the run.
        attempt: Number of the attempt.
        files: File by name, a path with `/`.
        copy: Whether small files are copied; otherwise all are references, as models are.

    Returns:
        By name: `path` (of a copy from the run's folder, of a reference from that of the results),
        `bytes`, `sha256`, and `stored`, `copy` or `reference`.
    """
    kept: Artifacts = {}
    for name, source in sorted(files.items()):
        if not source.is_file():
            continue
        size = source.stat().st_size
        if copy and size < LARGE:
            place = run / f"attempt_{attempt}" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if place != source:
                shutil.copyfile(source, place)
            path, stored = f"attempt_{attempt}/{name}", COPY
        else:
            path, stored = os.path.relpath(source, run.parents[1]), REFERENCE
        kept[name] = {"path": path, "bytes": size, "sha256": file_sha256(source), "stored": stored}
    return kept


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
