"""Checkpoints of a training in its folder: which are its own, which are intact, and the best."""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.common.output import WORKFLOW_JOB
from foldwise.common.progress import ProgressLog

BEST = "checkpoint-best"
RECORD = "training.json"
MARK = ".foldwise.json"
"""In each checkpoint: the hash of the work that made it."""

# What only a resumed training needs; the finished one keeps none of it, nor any pickle.
_RESUME_FILES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin",
                 "trainer_state.json", "scaler.pt")  # fmt: skip
_CHECKPOINT = re.compile(r"checkpoint-(\d+|best)")
_PART = f".{BEST}.part"


def mark(folder: Path, work: str) -> None:
    """Note in a checkpoint, before anything else is written to it, which work makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MARK, {"work": work})


def finished_record(out: Path, work: str) -> dict[str, Any] | None:
    """The record of the same work, if it is complete in `out`; `None` if there is more to do.

    Raises:
        FoldwiseError: `out` holds checkpoints or a record of other work.
    """
    _clear_earlier(out, work)
    if not (out / RECORD).exists():
        return None
    if _work_of(out / ".work.json") != work:
        if WORKFLOW_JOB in os.environ:
            return None
        raise _foreign(out / RECORD)
    record = _dictionary(out / RECORD)
    last = BEST if record.get("best_step") is not None else f"checkpoint-{record.get('steps')}"
    if "history" not in record or not _readable(out / last):
        return None
    return record


def _clear_earlier(out: Path, work: str) -> None:
    """Refuse checkpoints of other work; a job of the workflow replaces those of its last config.

    Raises:
        FoldwiseError: There is one; nothing has been removed then.
    """
    replaced: list[Path] = []
    for folder in _checkpoints(out):
        if folder.is_symlink():  # what it leads to is another's, whatever its mark
            raise _foreign(folder)
        maker = _work_of(folder / MARK)
        if maker == work:
            continue
        cut_off = maker is None and folder.is_dir() and not any(folder.iterdir())
        if not (cut_off or (maker and WORKFLOW_JOB in os.environ)):
            raise _foreign(folder)
        replaced.append(folder)
    for folder in replaced:
        shutil.rmtree(folder)


def last_intact(out: Path, work: str) -> str | None:
    """The last checkpoint to go on from; damaged ones of the same work are removed.

    Args:
        out: Folder that `finished_record` has let pass.
        work: Hash of the work.
    """
    write_json(out / ".work.json", {"work": work})
    kept: list[tuple[int, Path]] = []
    for folder in _checkpoints(out):
        if folder.name == BEST:
            continue
        if _resumable(folder):
            kept.append((int(folder.name.rsplit("-", 1)[1]), folder))
        else:
            ProgressLog(sys.stderr, 1).line(f"{folder}: incomplete or damaged, it is made again")
            shutil.rmtree(folder)
    return str(max(kept)[1]) if kept else None


def keep_best(best: Path, out: Path) -> int:
    """Copy the best checkpoint to `checkpoint-best`; its step."""
    part, target = out / _PART, out / BEST
    for folder in (part, target):
        if folder.exists():
            shutil.rmtree(folder)
    shutil.copytree(best, part)
    part.rename(target)
    return int(best.name.rsplit("-", 1)[1])


def remove_resume_files(out: Path) -> None:
    """Remove what only a resumed training needs."""
    for folder in _checkpoints(out):
        for name in _RESUME_FILES:
            (folder / name).unlink(missing_ok=True)


def _checkpoints(out: Path) -> list[Path]:
    return sorted(path for path in out.glob("checkpoint-*") if _CHECKPOINT.fullmatch(path.name))


def _work_of(path: Path) -> Any:
    return _dictionary(path).get("work")


def _dictionary(path: Path) -> dict[str, Any]:
    """A JSON object, empty if the file is missing or damaged."""
    try:
        value = read_json(path)
    except FoldwiseError:
        return {}
    return value if isinstance(value, dict) else {}


def _foreign(path: Path) -> FoldwiseError:
    return FoldwiseError(
        f"the folder holds {path.name}, which this training did not make",
        where=str(path.parent),
        hint="Choose another --output-dir, or move it away; nothing was changed.",
    )


def _resumable(folder: Path) -> bool:
    """Whether the Trainer can go on from a checkpoint: its state is written last."""
    if not isinstance(_dictionary(folder / "trainer_state.json").get("global_step"), int):
        return False
    states = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
    return _readable(folder) and all(_is_whole(folder / name) for name in states)


def _readable(folder: Path) -> bool:
    try:
        with safe_open(folder / "model.safetensors", framework="pt") as handle:
            return bool(handle.keys()) and bool(_dictionary(folder / "config.json"))
    except (OSError, SafetensorError):
        return False


def _is_whole(path: Path) -> bool:
    """Whether a file of `torch.save` is there and its checksums fit."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
