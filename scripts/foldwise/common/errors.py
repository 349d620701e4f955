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


class FoldwiseError(Exception):
    """A mistake that the user can mend.

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

    A reader that closes the pipe early (`… | head`) ends the program without a word.
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
        if not is_full_disk(error):
            raise
        place = error.filename or "disk"
        _say_somewhere(f"error: {place}: {error.strerror}. Make room, then call again.")
        sys.exit(EXIT_USER_ERROR)
    sys.exit(0)


def is_full_disk(error: OSError) -> bool:
    """Whether a disk is full, or its user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _say_somewhere(line: str) -> None:
    """Say a line on stderr, or on stdout where stderr is a log file on the full disk itself."""
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
