"""Signals that ask a training to end: noted at once, acted on between two steps."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_TIME_LIMIT = 75
"""`EX_TEMPFAIL` of sysexits.h: nothing is wrong, the same call goes on."""
NEAR_TIME_LIMIT = signal.SIGURG
"""What a queue sends before its time limit. Programs that know nothing of it ignore it: Snakemake
and the shell around a training get it too, and would end at SIGUSR1."""


class StopRequest:
    """Whether a signal has asked for the end.

    Attributes:
        signal: The last one that came, or none.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def note(self, number: int, _frame: FrameType | None) -> None:
        """A signal's handler."""
        self.signal = signal.Signals(number)


class Stopped(Exception):  # noqa: N818  no error: the state is saved
    """A training has ended between two steps, with its state saved."""


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGTERM and `NEAR_TIME_LIMIT` instead of dying of them.

    When the block ends with `Stopped`, the process ends as the signal asks: with `EXIT_TIME_LIMIT`
    near the time limit, else of the signal itself. Outside of the main thread, where Python has no
    signals, nothing is noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = (signal.SIGTERM, NEAR_TIME_LIMIT)
    before = [signal.signal(number, request.note) for number in numbers]
    stopped = False
    try:
        yield request
    except Stopped:
        stopped = True
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if stopped:
        if request.signal == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
        sys.exit(EXIT_TIME_LIMIT)
