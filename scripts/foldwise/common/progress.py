"""Progress lines that appear at once: every step in a file, now and then in a terminal."""

from __future__ import annotations

import re
import sys
import time
from typing import NamedTuple, TextIO

import psutil

BAR_WIDTH = 20
BAR_INTERVAL = 0.2
CLEAR_LINE = "\r\x1b[K"
_STEP = re.compile(r"step (\d+)/(\d+) .*?([\d.]+) s/step")


class StepLine(NamedTuple):
    """What a line of `ProgressLog.step` says: steps done, of how many, mean seconds of one."""

    done: int
    total: int
    seconds: float


def step_lines(log: str) -> list[StepLine]:
    """The steps that a log tells of, in its order."""
    return [
        StepLine(int(done), int(total), float(seconds))
        for done, total, seconds in _STEP.findall(log)
    ]


def duration(seconds: float) -> str:
    """Seconds as `h:mm:ss` or `m:ss`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


class LoggedStream:
    """A stream of lines that are also kept in a file, as standard error of a recorded program.

    Args:
        stream: Where the lines went before.
        file: The file.
    """

    def __init__(self, stream: TextIO, file: TextIO) -> None:
        self.stream, self.file = stream, file

    def write(self, text: str) -> int:
        """Write to both; the file has it at once."""
        self.file.write(text)
        self.file.flush()
        return self.stream.write(text)

    def flush(self) -> None:
        """Flush both."""
        self.file.flush()
        self.stream.flush()

    def isatty(self) -> bool:
        """Whether the lines went to a terminal before."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Of the stream."""
        return self.stream.fileno()


class ProgressLog:
    """Lines with the time of day, flushed at once; a bar where the output is a terminal.

    A file gets every step. A terminal gets a bar, and under Snakemake, where the stream is the
    job's log file, a line now and then with the name of the work. After the first step a line says
    how much memory is taken and left. tqdm draws bars alone, of which a file would keep every
    state.

    Args:
        stream: Where the lines go.
        total: Steps of the whole work.
        done: Steps that an earlier, interrupted call has done.
        interval: Seconds between two progress lines on a terminal; the first and the last step
            always speak.
        name: What is done, for lines among those of other jobs.
    """

    def __init__(
        self, stream: TextIO, total: int, done: int = 0, interval: float = 10.0, name: str = ""
    ) -> None:
        files: tuple[TextIO, ...] = (stream,)
        terminal: TextIO | None = None
        if isinstance(stream, LoggedStream):
            files, stream = (stream.file, stream.stream), stream.stream
        if stream.isatty():
            files, terminal = files[:-1], stream
        self._files, self._terminal = files, terminal
        self._total = total
        self._name = name
        self._first = done
        self._echo = sys.stdout if sys.stdout.isatty() and terminal is None else None
        self._interval = BAR_INTERVAL if terminal is not None else interval
        self._started = time.monotonic()
        self._spoke = -interval
        self._begun = False

    def resume(self, done: int) -> None:
        """Count from step `done`, which an earlier call has reached."""
        self._first = done
        self._started = time.monotonic()
        self._spoke = -self._interval
        self._begun = False

    def line(self, text: str) -> None:
        """Write one line at once."""
        line = f"[{time.strftime('%H:%M:%S')}] {text}\n"
        self._write(self._files, line)
        if self._terminal is not None:
            self._write((self._terminal,), f"{CLEAR_LINE}{line}")
        self._say(line)

    def step(self, done: int, text: str) -> None:
        """Report step `done`: to files always, to a terminal if it is time."""
        elapsed = time.monotonic() - self._started
        per_step = elapsed / max(done - self._first, 1)
        facts = (
            f"step {done}/{self._total}  {text}  {per_step:.3f} s/step  "
            f"elapsed {duration(elapsed)}  ETA {duration(per_step * (self._total - done))}"
        )
        line = f"[{time.strftime('%H:%M:%S')}] {facts}\n"
        self._write(self._files, line)
        first, self._begun = not self._begun, True
        if first or done == self._total or elapsed - self._spoke >= self._interval:
            self._spoke = elapsed
            self._say(line)
            if self._terminal is not None:
                filled = BAR_WIDTH * done // self._total
                end = "\n" if done == self._total else ""
                bar = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}]"
                self._write((self._terminal,), f"{CLEAR_LINE}{bar} {facts}{end}")
        if first:
            self.line(memory_text())

    def _say(self, line: str) -> None:
        """The terminal in which Snakemake runs."""
        if self._echo is not None:
            self._write((self._echo,), f"{self._name}  {line}" if self._name else line)

    @staticmethod
    def _write(streams: tuple[TextIO, ...], text: str) -> None:
        for stream in streams:
            stream.write(text)
            stream.flush()


def memory_text() -> str:
    """What this process takes of the memory, and what is left; of a GPU's too, if it is used."""
    own, machine = psutil.Process().memory_info().rss, psutil.virtual_memory()
    text = (
        f"memory: this process takes {own / 1e9:.1f} GB, "
        f"{machine.available / 1e9:.1f} of {machine.total / 1e9:.1f} GB are free"
    )
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        free, total = torch.cuda.mem_get_info()
        text += f"; GPU: {free / 1e9:.1f} of {total / 1e9:.1f} GB are free"
    return text
