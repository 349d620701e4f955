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
    if Path(target).is_symlink():
        raise FoldwiseError("it is a link", where=str(target), hint="Choose another --out.")
    with replaced_folder(target, tuple(CONTENT)) as new:
        yield new
