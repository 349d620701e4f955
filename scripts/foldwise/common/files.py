"""Reading and writing files so that a killed job leaves nothing that looks done."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import math
import os
import platform
import re
import resource
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.frames import read_parquet as read_parquet  # noqa: PLC0414
from foldwise.common.output import check_replaceable
from foldwise.common.reading import json_object as json_object  # noqa: PLC0414
from foldwise.common.reading import read_json as read_json  # noqa: PLC0414
from foldwise.common.reading import read_yaml as read_yaml  # noqa: PLC0414

if TYPE_CHECKING:
    import pandas as pd

LIBRARY = Path(__file__).resolve().parents[1]
REPOSITORY = LIBRARY.parents[1]
_NO_ROOM = 2**16  # bytes
_NODE = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_OS_ERROR = re.compile(r"os error (\d+)")


def cache_folder() -> Path:
    """The user's cache folder of this project: what is compiled once for a machine."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "foldwise"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` only when the block succeeds.

    The folder is made. On an exception, the temporary file is removed and `path` is untouched. A
    link stays, and the file that it leads to is written. The file keeps its mode; a new one has
    the mode that the umask leaves. No package that is still maintained does this: `atomicwrites`
    is not.

    Raises:
        FoldwiseError: `path` is a folder, a pipe or a device.
        OSError: `ENOSPC` or `EFBIG`, whatever a writer made of it, if there is no room.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    mode = _mode_of(target)
    temporary = target.with_name(f"{_part(target.name)}{secrets.token_hex(4)}.part")
    # The system applies the umask to a file that is made like this, and to no `chmod`.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(temporary.stat().st_mode) if mode is None else mode
    try:
        yield temporary
        temporary.chmod(mode)  # some writers put a file of their own in its place
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except BaseException as error:
        code = _lack_of_room(error, temporary) if isinstance(error, Exception) else None
        temporary.unlink(missing_ok=True)
        if code is not None:
            raise OSError(code, os.strerror(code), str(path)) from error
        raise


def _part(name: str) -> str:
    """How the temporary name of this process for a file begins."""
    return f".{name[:48]}.{_NODE}-{os.getpid()}-"


@cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left half-written in a folder, once."""
    for path in folder.glob(f".*.{_NODE}-*.part"):
        process = path.name.rsplit(".", 2)[1].split("-")[1]
        if Path(f"/proc/{process}").exists() or not Path("/proc/self").exists():
            continue
        if path.is_file():
            path.unlink(missing_ok=True)
        elif not (path / "old").exists():  # else it is what a kill kept from being put back
            shutil.rmtree(path, ignore_errors=True)


def _mode_of(target: Path) -> int | None:
    """Permissions of a file that will be replaced; none if there is no file yet.

    Raises:
        FoldwiseError: It is something else than a file.
    """
    try:
        facts = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or device"
        raise FoldwiseError(f"it is {kind}, not a file", where=str(target), hint="Name a file.")
    return stat.S_IMODE(facts.st_mode)


def _lack_of_room(error: Exception, file: Path) -> int | None:
    """The system's number if a write failed for lack of room, whatever the writer made of it.

    PyTorch speaks of an internal position, and Rust writes the number into its text.
    """
    said = _OS_ERROR.search(str(error))
    code = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return code
    try:
        state = os.statvfs(file.parent)
        size = file.stat().st_size
    except OSError:
        return None
    if state.f_bavail * state.f_frsize < _NO_ROOM:
        return errno.ENOSPC
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return errno.EFBIG if limit != resource.RLIM_INFINITY and size + _NO_ROOM > limit else None


@contextmanager
def replaced_folder(target: str | os.PathLike[str], ours: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder next to `target`; when the block succeeds, it becomes `target`.

    What `target` held before is removed, so that it has to be `ours`. On an exception `target` is
    as it was.

    Args:
        target: The folder.
        ours: Patterns of the names that this program's folders hold, such as `*.npy`.

    Raises:
        FoldwiseError: `target` is no folder, or holds a file of another name.
    """
    place = Path(os.path.realpath(target))
    check_replaceable(place, ours)
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    work = Path(tempfile.mkdtemp(dir=place.parent, prefix=_part(place.name), suffix=".part"))
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


def bytes_of(path: Path) -> int:
    """Size of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def write_csv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a CSV without index, floats with nine significant digits, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g", quoting=csv.QUOTE_MINIMAL)


def write_parquet(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a Parquet file without index, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_sha256(source: Path, apart_from: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of all files below a folder.

    Args:
        source: File or folder; links to folders are followed.
        apart_from: File that is being written; it, hidden files, and others whose names begin
            with its name do not count.
    """
    if source.is_file():
        return file_sha256(source)
    place = apart_from.resolve()
    sums, seen = {}, set()
    for folder, folders, names in os.walk(source, followlinks=True):
        real = Path(folder).resolve()
        folders[:] = [] if real in seen else [each for each in folders if each[0] != "."]
        for name in [] if real in seen else names:
            written = real == place.parent and name.startswith(place.name)
            if not name.startswith(".") and not written and Path(folder, name).is_file():
                sums[str(Path(folder, name).relative_to(source))] = file_sha256(Path(folder, name))
        seen.add(real)
    return canonical_sha256(sums)


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
