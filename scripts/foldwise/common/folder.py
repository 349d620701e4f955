"""An experiment's folder: written beside its place, and put there only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import replaced_folder

CONTENT = frozenset(
    {
        "results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet",
        "groups", "figures", "matbench", "diagnostics", "model", "raw_outputs.parquet", "calls",
    }
)  # fmt: skip


@contextmanager
def experiment_folder(target: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; when the block succeeds, it becomes `target`.

    Raises:
        FoldwiseError: `target` holds something that is no part of an experiment's folder.
    """
    place = Path(target)
    _check_replaceable(place)
    with replaced_folder(place) as new:
        yield new


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
