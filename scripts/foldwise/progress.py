"""Progress lines that appear at once: to the terminal and to a file, with rate and ETA."""

from __future__ import annotations

import time
from typing import TextIO


def duration(seconds: float) -> str:
    """Seconds as `h:mm:ss` or `m:ss`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


class ProgressLog:
    """Lines with the time of day, flushed at once.

    Args:
        stream: Where the lines go.
        total: Steps of the whole work.
        done: Steps that an earlier, interrupted call has done.
        interval: Seconds between two progress lines; the first and the last step always speak.
    """

    def __init__(self, stream: TextIO, total: int, done: int = 0, interval: float = 10.0) -> None:
        self._stream = stream
        self._total = total
        self._first = done
        self._interval = interval
        self._started = time.monotonic()
        self._spoke = -interval

    def resume(self, done: int) -> None:
        """Count from step `done`, which an earlier call has reached."""
        self._first = done
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        """Write one line at once."""
        self._stream.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")
        self._stream.flush()

    def step(self, done: int, text: str) -> None:
        """Report step `done`, if it is the first, the last, or enough time has passed."""
        elapsed = time.monotonic() - self._started
        due = elapsed - self._spoke >= self._interval
        if done not in (self._first + 1, self._total) and not due:
            return
        self._spoke = elapsed
        per_step = elapsed / (done - self._first)
        eta = duration(per_step * (self._total - done))
        self.line(
            f"step {done}/{self._total}  {text}  {per_step:.3f} s/step  "
            f"elapsed {duration(elapsed)}  ETA {eta}"
        )
