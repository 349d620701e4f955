"""A CSV that grows part by part, and goes on after an interruption where its last part ended."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from foldwise.common.files import write_text

COLUMNS = ("id", "prediction", "low", "high", "warning")


class PartialTable:
    """Rows of `out`, kept in `out.partial` until all are there.

    Beside it `out.partial.json` says of which work it is and how many bytes are complete: what a
    kill has left behind them is cut off.

    Args:
        out: The finished file.
        fingerprint: Identity of the work; a partial file of other work is begun anew.
    """

    def __init__(self, out: Path, fingerprint: str) -> None:
        self._out, self._fingerprint = out, fingerprint
        self._rows = out.with_name(f"{out.name}.partial")
        self._state = out.with_name(f"{out.name}.partial.json")
        out.parent.mkdir(parents=True, exist_ok=True)
        done = self._complete_bytes()
        if done is None:
            self._rows.write_bytes(_lines([COLUMNS]))
            done = self._rows.stat().st_size
        os.truncate(self._rows, done)
        self._note(done)

    def ids(self) -> list[str]:
        """Ids of the rows that are complete, in order."""
        with self._rows.open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file)][1:]

    def append(self, rows: Iterable[Sequence[str]]) -> None:
        """Add the rows of one part; they are on disk when this returns."""
        with self._rows.open("ab") as file:
            file.write(_lines(rows))
            file.flush()
            os.fsync(file.fileno())
            done = file.tell()
        self._note(done)

    def finish(self) -> None:
        """Put the finished file in its place."""
        self._rows.replace(self._out)
        self._state.unlink()

    def _complete_bytes(self) -> int | None:
        """Bytes of complete parts; `None` where there is no partial file of this work."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            size = self._rows.stat().st_size
        except (OSError, ValueError):
            return None
        if state.get("fingerprint") != self._fingerprint or size < state["bytes"]:
            return None
        return int(state["bytes"])

    def _note(self, done: int) -> None:
        write_text(self._state, json.dumps({"fingerprint": self._fingerprint, "bytes": done}))


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
