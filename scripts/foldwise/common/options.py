"""Options that several programs have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from foldwise.common.errors import FoldwiseError

_MOST = 2**31 - 1


class AtLeastOne(argparse.Action):
    """A whole number of at least one: threads, processes, rows of a batch.

    Raises:
        FoldwiseError: It is something else.
    """

    def __call__(  # noqa: D102
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            number = int(str(values))
        except ValueError:
            number = 0
        if not 1 <= number <= _MOST:
            name = option_string or self.dest
            raise FoldwiseError(
                f"{str(values)[:40]!r} is not a whole number of at least 1",
                where=name,
                hint=f"Give one such as {name} 2.",
            )
        setattr(namespace, self.dest, number)
