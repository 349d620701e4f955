"""Predictions that a training job leaves for the prediction job that follows it.

To predict takes less time than to start PyTorch. A training job on a CPU therefore predicts with
the checkpoint that it has written, and the prediction job moves the files, if they are what it
would write itself.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foldwise.common.code import code_of
from foldwise.common.files import (
    REPOSITORY,
    canonical_sha256,
    file_sha256,
    replaced_folder,
    write_text,
)
from foldwise.prediction.files import PredictionFiles

if TYPE_CHECKING:
    from foldwise.network.machine import Machine

_FOLDER, _IDENTITY, _LOG = ".predictions", "identity", "log"
_CONTENT = ("*.parquet", "*.json", _IDENTITY, _LOG)


def predicting_code() -> str:
    """Hash of the code that predicts, as it was when this process first asked."""
    return code_of("jobs/predict.py", str(REPOSITORY / "scripts"))


def leave(files: PredictionFiles, machine: Machine) -> None:
    """Predict, and leave the files next to the checkpoint.

    Raises:
        FoldwiseError: As `predict_subsets`.
    """
    # An edit to the code that predicts must not make a training stale, hence no import above.
    from foldwise.prediction.job import predict_subsets  # noqa: PLC0415

    with replaced_folder(files.model.parent / _FOLDER, _CONTENT) as folder:
        with contextlib.redirect_stderr(io.StringIO()) as log:
            predict_subsets(files, machine=machine, out=folder)
        write_text(folder / _LOG, log.getvalue())
        identity = _identity(files, threads=machine.threads, engine=vars(machine.engine))
        write_text(folder / _IDENTITY, identity)


def take(files: PredictionFiles, *, threads: int, engine: Mapping[str, Any], out: Path) -> bool:
    """Move what a training job has left to `out`; return whether it is what is asked for."""
    folder = files.model.parent / _FOLDER
    try:
        if (folder / _IDENTITY).read_text() != _identity(files, threads=threads, engine=engine):
            return False
    except FileNotFoundError:
        return False
    (folder / _IDENTITY).unlink()  # a folder that a kill leaves half-moved is not taken
    sys.stderr.write((folder / _LOG).read_text())
    (folder / _LOG).unlink()
    out.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        shutil.move(file, out / file.name)
    folder.rmdir()
    return True


def _identity(files: PredictionFiles, *, threads: int, engine: Mapping[str, Any]) -> str:
    """Of everything that decides the predictions and what is said of their speed."""
    return canonical_sha256(
        {
            "code": predicting_code(),
            "model": file_sha256(files.model),
            "graphs": file_sha256(files.graphs / "meta.json"),
            "split": file_sha256(files.split),
            "subsets": files.subsets,
            "holdout": files.holdout,
            "threads": threads,
            "engine": dict(engine),
        }
    )
