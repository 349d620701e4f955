"""Hashes of what a run starts from."""

from __future__ import annotations

from pathlib import Path

from foldwise.common.files import canonical_sha256, file_sha256


def folder_hash(checkpoint: Path) -> str:
    """Hash of all files of a model's folder; `absent` where there is none: the run then fails."""
    files = sorted(path for path in checkpoint.glob("*") if path.is_file())
    return (
        canonical_sha256([[path.name, file_sha256(path)] for path in files]) if files else "absent"
    )
