"""Reading and writing files so that a killed job leaves nothing that looks done."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from foldwise.common.errors import FoldwiseError

if TYPE_CHECKING:
    import pandas as pd

LIBRARY = Path(__file__).resolve().parents[1]
REPOSITORY = LIBRARY.parents[1]
_NO_ROOM = 2**16  # bytes


def cache_folder() -> Path:
    """The user's cache folder of this project: what is compiled once for a machine."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "foldwise"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only when the block succeeds.

    The folder is made. On an exception, the temporary file is removed and `path` is untouched. No
    package that is still maintained does this: `atomicwrites` is not.

    Raises:
        OSError: `ENOSPC`, whatever a writer made of it, where the disk is full.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except BaseException as error:
        full = isinstance(error, Exception) and _is_full(target.parent)
        temporary.unlink(missing_ok=True)
        if full:  # which not every writer says: PyTorch's speaks of an internal position
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise


def _is_full(folder: Path) -> bool:
    """Whether a folder's file system has no room left, as after a write that did not fit."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < _NO_ROOM


@contextmanager
def replaced_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder beside `target`; when the block succeeds, it becomes `target`.

    What `target` held before is removed. On an exception `target` is as it was.
    """
    place = Path(target)
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


def json_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object given as text.

    Raises:
        FoldwiseError: It is something else.
    """
    hint = f"Write {where} '{{\"key\": value}}'."
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FoldwiseError(f"no valid JSON ({error})", where=where, hint=hint) from error
    if not isinstance(value, dict):
        raise FoldwiseError("no JSON object", where=where, hint=hint)
    return value


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON atomically, keys in the given order.

    Raises:
        ValueError: `value` holds a NaN or an infinity, which JSON cannot express.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        FoldwiseError: The file is missing or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldwiseError(
            "the file does not exist", where=str(path), hint="Make it first."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FoldwiseError(
            f"the file is no valid JSON ({error})", where=str(path), hint="Delete it and run again."
        ) from error


def bytes_of(path: Path) -> int:
    """Size of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def read_yaml(
    path: str | os.PathLike[str], *, absent: str = "Make it first.", broken: str = "Mend it."
) -> Any:
    """Read a YAML file.

    Args:
        path: The file.
        absent: What to do where there is none.
        broken: What to do where it is no YAML.

    Raises:
        FoldwiseError: The file is missing or is no YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldwiseError("the file does not exist", where=str(path), hint=absent) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise FoldwiseError(
            f"the file is no valid YAML ({line})", where=str(path), hint=broken
        ) from error


def write_csv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a CSV without index, floats with nine significant digits, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g", quoting=csv.QUOTE_MINIMAL)


def write_parquet(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a Parquet file without index, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_parquet(path: str | os.PathLike[str], columns: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet file and check that `columns` are there.

    Raises:
        FoldwiseError: The file is missing, truncated, or lacks one of `columns`.
    """
    import pandas as pd  # noqa: PLC0415 (half a second, which programs without tables can do without)
    from pyarrow import ArrowInvalid  # noqa: PLC0415

    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise FoldwiseError(
            "the file does not exist", where=str(path), hint="Make it first."
        ) from None
    except (ArrowInvalid, OSError) as error:
        raise FoldwiseError(
            "the file is truncated or no Parquet file",
            where=str(path),
            hint="Delete it and run again.",
        ) from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise FoldwiseError(
            f"column {missing[0]!r} is missing (columns: {', '.join(map(str, table.columns))})",
            where=str(path),
            hint="Delete the file and run again, or name the column so.",
        )
    return table


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_sha256(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def finite_or_none(value: float) -> float | None:
    """A float for JSON: `None` where the number is NaN or infinite."""
    return float(value) if math.isfinite(value) else None


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping to one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{dotted}."))
        else:
            flat[dotted] = value
    return flat
