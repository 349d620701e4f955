"""One kind of error for the user's mistakes: a single line, and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_USER_ERROR = 2


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
    """Run a command-line program; turn a `FoldwiseError` into one stderr line and exit code 2."""
    try:
        main()
    except FoldwiseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    sys.exit(0)
