"""An experiment's folder: written beside its place, and put there only when it is complete."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foldwise.errors import FoldwiseError

CONTENT = frozenset(
    {
        "results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet",
        "groups", "figures", "matbench", "diagnostics",
    }
)  # fmt: skip


@contextmanager
def replaced_folder(target: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; when the block succeeds, it becomes `target`.

    What `target` held before is removed. On an exception `target` is as it was.

    Raises:
        FoldwiseError: `target` holds something that is no part of an experiment's folder.
    """
    place = Path(target)
    _check_replaceable(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))
    try:
        new = work / "new"
        new.mkdir()
        yield new
        _swap(new, place, work / "old")
    finally:
        shutil.rmtree(work)


def _swap(new: Path, place: Path, old: Path) -> None:
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


def _check_replaceable(place: Path) -> None:
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise FoldwiseError("it is no folder", where=str(place), hint="Choose another --out.")
    if not place.is_dir():
        return
    # Names with a dot are the workflow engine's own marks.
    strangers = sorted(
        entry.name
        for entry in place.iterdir()
        if entry.name not in CONTENT and not entry.name.startswith(".")
    )
    if strangers:
        raise FoldwiseError(
            f"the folder would be replaced, but holds {strangers[0]!r}, which no experiment writes",
            where=str(place),
            hint="Choose another --out, or move it away.",
        )
