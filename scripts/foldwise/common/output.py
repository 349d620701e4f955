"""Paths that a program writes: checked before any work, and kept from a second call.

`output_file` and `output_folder` are types of argparse options: a path that cannot be written is
refused as soon as the options are read, and the path stays locked until the program ends.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import os
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path

from foldwise.common.errors import FoldwiseError, in_words

_HINT = "Choose another path."
_LONGEST = 255  # bytes of a name, if the file system does not say
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
WORKFLOW_JOB = "FOLDWISE_CALL"  # which the workflow sets for its jobs
_held: dict[Path, _Held] = {}


def output_file(text: str) -> Path:
    """Type of an option that names a file to write.

    Raises:
        FoldwiseError: It cannot be written, or another call is writing it.
    """
    return _locked(checked_output(text))


def output_folder(*ours: str) -> Callable[[str], Path]:
    """Type of an option that names a folder to write.

    Args:
        ours: Patterns of the names that the program writes there, if it replaces the folder as a
            whole: then one that holds anything else is refused.
    """

    def folder(text: str) -> Path:
        return _locked(checked_output(text, folder=True, ours=ours))

    return folder


def shared_folder(text: str) -> Path:
    """Type of an option that names a folder to write, in which a later call may take over.

    Raises:
        FoldwiseError: It cannot be written.
    """
    return checked_output(text, folder=True)


def checked_output(
    path: str | os.PathLike[str], *, folder: bool = False, ours: Sequence[str] = ()
) -> Path:
    """A path after a check that it can be written; nothing is made.

    Args:
        path: File or folder to write.
        folder: Whether it is a folder.
        ours: As of `output_folder`.

    Raises:
        FoldwiseError: It is of another kind, its parent is a file, it is read-only or its name is
            too long; or it is a folder that holds something that the program does not write.
    """
    where = str(path)
    try:
        place = Path(os.path.realpath(path))
        there = _kind(place)
        if there is None:
            _check_parent(place, where)
        elif folder and not stat.S_ISDIR(there):
            raise FoldwiseError("it is not a folder", where=where, hint=_HINT)
        elif not folder and not stat.S_ISREG(there):
            kind = "a folder" if stat.S_ISDIR(there) else "a pipe or device"
            raise FoldwiseError(f"it is {kind}, not a file", where=where, hint="Name a file.")
        # A file is replaced by way of its folder.
        for each in [place, *([] if folder else [place.parent])] if there is not None else []:
            _check_rights(each, where)
    except (OSError, ValueError) as error:
        said = in_words(error) if isinstance(error, OSError) else str(error)
        raise FoldwiseError(f"it cannot be written ({said})", where=where, hint=_HINT) from error
    if ours:
        check_replaceable(place, ours)
    return Path(path)


def _kind(place: Path) -> int | None:
    try:
        return place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_parent(place: Path, where: str) -> None:
    """Refuse a place that does not exist yet and could not be made."""
    above = next(each for each in place.parents if _kind(each) is not None)
    if not above.is_dir():
        raise FoldwiseError(f"{above} is not a folder", where=where, hint=_HINT)
    try:
        longest = os.pathconf(above, "PC_NAME_MAX")
    except (OSError, ValueError):
        longest = _LONGEST
    for part in place.relative_to(above).parts:
        if len(os.fsencode(part)) > longest:
            raise FoldwiseError(
                f"a name has more than {longest} bytes", where=where, hint="Choose a shorter one."
            )
    _check_rights(above, where)


def _check_rights(place: Path, where: str) -> None:
    needed = os.W_OK | (os.X_OK if place.is_dir() else 0)
    if not os.access(place, needed):
        raise FoldwiseError(
            f"{place} is read-only, or not yours to write",
            where=where,
            hint="Change its permissions, or choose another path.",
        )


def check_replaceable(place: Path, ours: Sequence[str]) -> None:
    """Refuse a folder that holds something that the program did not write.

    Args:
        place: The folder; it need not exist.
        ours: Patterns of the names that the program writes; names with a dot are marks of the
            workflow engine, or of a program that was killed.

    Raises:
        FoldwiseError: It is something else, or holds a file of another name.
    """
    if place.exists() and not place.is_dir():
        raise FoldwiseError("it is not a folder", where=str(place), hint="Choose another path.")
    if not place.is_dir():
        return
    strangers = sorted(
        entry.name
        for entry in place.iterdir()
        if not entry.name.startswith(".") and not any(fnmatch(entry.name, one) for one in ours)
    )
    if strangers:
        raise FoldwiseError(
            f"the folder would be replaced, but it holds {strangers[0]!r}, which this program does "
            "not write",
            where=str(place),
            hint="Choose another folder, or move the file away.",
        )


class _Held:
    """A lock that this process holds until it ends.

    It belongs to the process, not to a file handle, so that workers which outlive a killed program
    do not hold it.
    """

    def __init__(self, lock: Path, handle: int, made: list[Path]) -> None:
        self.lock, self.handle, self.made, self.process = lock, handle, made, os.getpid()

    def release(self) -> None:
        """Remove the lock, and folders that were made for it and hold nothing else."""
        if os.getpid() != self.process:
            return
        with suppress(OSError):
            self.lock.unlink()
        os.close(self.handle)
        with suppress(OSError):
            for folder in self.made:
                folder.rmdir()


def _locked(path: Path) -> Path:
    place = Path(os.path.realpath(path))
    if place in _held and _held[place].process == os.getpid():
        return path
    made = [each for each in place.parents if not each.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    name = place.name
    if len(os.fsencode(name)) > 200:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    lock = place.parent / f".{name}.lock"
    handle = _take(lock, path)
    if handle is not None:
        _held[place] = _Held(lock, handle, made)
        atexit.register(_held[place].release)
    return path


def _take(lock: Path, path: Path) -> int | None:
    """Handle of the lock; none on file systems without locks.

    A job of the workflow waits for one that a killed call has left behind: an error would make
    Snakemake remove the outputs, which the other is writing.

    Raises:
        FoldwiseError: Another process holds it.
    """
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            if error.errno in _WITHOUT_LOCKS:
                os.close(handle)
                return None
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            if not os.environ.get(WORKFLOW_JOB):
                os.close(handle)
                raise FoldwiseError(
                    f"another call is writing it ({holder or 'a process'})",
                    where=str(path),
                    hint="Wait for it to end, or choose another path.",
                ) from None
            print(f"{path}: waiting for {holder or 'a process'}, which writes it", file=sys.stderr)
            fcntl.lockf(handle, fcntl.LOCK_EX)
        if _is_in_place(handle, lock):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            return handle
        os.close(handle)  # the other process has removed it in the meantime


def _is_in_place(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False
