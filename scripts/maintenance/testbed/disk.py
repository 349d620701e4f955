"""A small disk under a study, and nothing left on it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 256
_MB = 2**20


@contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """Lay a folder and what it holds on a small tmpfs; afterwards it is as it was before.

    Needs root.
    """
    beneath = folder.with_name(f"{folder.name}.beneath")
    folder.rename(beneath)
    folder.mkdir()
    size = f"size={MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        # With their times: Snakemake would make younger files' descendants again.
        subprocess.run(["cp", "-a", f"{beneath}/.", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
        beneath.rename(folder)


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Fill a folder's disk to its last byte; make room again afterwards."""
    balloon = folder / "balloon"
    try:
        with contextlib.suppress(OSError), balloon.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(_MB))
        yield
    finally:
        balloon.unlink(missing_ok=True)
