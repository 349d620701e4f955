"""One kind of error for the user's mistakes: a single line, and exit code 2."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_USER_ERROR = 2
# What a shell reports of a program whose reader went away, as of `cat` in `cat FILE | head`.
EXIT_READER_GONE = 128 + signal.SIGPIPE

# What to do about an error of the system that the user can do something about.
_ROOM = "Make room, then call again."
_PLACE = "Choose another path."
_RIGHTS = "Change its permissions, or choose another path."
HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit (ulimit -f), or choose another disk.",
    errno.EIO: "Check the disk.",
    errno.EROFS: _PLACE,
    errno.ENAMETOOLONG: "Choose a shorter path.",
    errno.EISDIR: _PLACE,
    errno.ENOTDIR: _PLACE,
    errno.EEXIST: _PLACE,
    errno.ENOTEMPTY: _PLACE,
    errno.ELOOP: _PLACE,
    errno.ENOENT: "Check the path.",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Close other programs.",
}
# These say no path where a write fails.
_OF_A_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class FoldwiseError(Exception):
    """A mistake that the user can correct.

    Args:
        what: What is wrong, as a short clause ("3 targets are NaN").
        where: The file, key, row or argument that holds it.
        hint: What to do about it, as an imperative sentence.
    """

    def __init__(self, what: str, *, where: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}. {self.hint}"
        return " ".join(line.split())


def run_program(main: Callable[[], None]) -> NoReturn:
    """Run a command-line program; turn a `FoldwiseError` into one stderr line and exit code 2.

    So are errors of the system that name a path, and full or limited disks. A reader that closes
    the pipe early (`… | head`) ends the program without a word.
    """
    try:
        main()
        sys.stdout.flush()
    except FoldwiseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        # The interpreter flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_READER_GONE)
    except OSError as error:
        hint = HINTS.get(error.errno or 0)
        if hint is None or (error.filename is None and error.errno not in _OF_A_DISK):
            raise
        place = " ".join(str(error.filename or "disk").split())
        _say_somewhere(f"error: {place}: {in_words(error)}. {hint}")
        sys.exit(EXIT_USER_ERROR)
    sys.exit(0)


def is_full_disk(error: OSError) -> bool:
    """Whether a disk is full, or its user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def in_words(error: OSError) -> str:
    """What the system says, without the number and the path that Python adds."""
    return error.strerror or str(error)


def _say_somewhere(line: str) -> None:
    """Say a line on stderr, or on stdout if stderr is a log file on the full disk itself."""
    for stream in (sys.stderr, sys.stdout):
        try:
            print(line, file=stream, flush=True)
        except OSError:
            continue
        return


def _reader_is_gone() -> bool:
    """Whether it is standard output that broke, and no pipe to a worker of the program."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR)
    return bool(poll.poll(0))
