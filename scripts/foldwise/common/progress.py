"""Progress lines that appear at once: to the terminal and to a file, with rate and ETA."""

from __future__ import annotations

import sys
import time
from typing import TextIO

BAR_WIDTH = 20
BAR_INTERVAL = 0.2
CLEAR_LINE = "\r\x1b[K"


def duration(seconds: float) -> str:
    """Seconds as `h:mm:ss` or `m:ss`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


class ProgressLog:
    """Lines with the time of day, flushed at once; a bar where the output is a terminal.

    tqdm draws bars alone, of which a job's log file would keep every state.

    Under Snakemake the stream is the job's log file. If Snakemake itself runs in a terminal, the
    progress lines appear there too, each with the name of the work.

    Args:
        stream: Where the lines go.
        total: Steps of the whole work.
        done: Steps that an earlier, interrupted call has done.
        interval: Seconds between two progress lines; the first and the last step always speak.
        name: What is done, for lines among those of other jobs.
    """

    def __init__(
        self, stream: TextIO, total: int, done: int = 0, interval: float = 10.0, name: str = ""
    ) -> None:
        self._stream = stream
        self._total = total
        self._name = name
        self._first = done
        self._bar = stream.isatty()
        self._echo = sys.stdout if sys.stdout.isatty() and not self._bar else None
        self._interval = BAR_INTERVAL if self._bar else interval
        self._started = time.monotonic()
        self._spoke = -interval

    def resume(self, done: int) -> None:
        """Count from step `done`, which an earlier call has reached."""
        self._first = done
        self._started = time.monotonic()
        self._spoke = -self._interval

    def line(self, text: str) -> None:
        """Write one line at once."""
        self._write(f"{CLEAR_LINE if self._bar else ''}[{time.strftime('%H:%M:%S')}] {text}\n")

    def step(self, done: int, text: str) -> None:
        """Report step `done`, if it is the first, the last, or enough time has passed."""
        elapsed = time.monotonic() - self._started
        due = elapsed - self._spoke >= self._interval
        if done not in (self._first + 1, self._total) and not due:
            return
        self._spoke = elapsed
        per_step = elapsed / max(done - self._first, 1)
        facts = (
            f"step {done}/{self._total}  {text}  {per_step:.3f} s/step  "
            f"elapsed {duration(elapsed)}  ETA {duration(per_step * (self._total - done))}"
        )
        if not self._bar:
            self.line(facts)
            return
        filled = BAR_WIDTH * done // self._total
        end = "\n" if done == self._total else ""
        self._write(f"{CLEAR_LINE}[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {facts}{end}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
        if self._echo is not None:
            self._echo.write(f"{self._name}  {text}" if self._name else text)
            self._echo.flush()
