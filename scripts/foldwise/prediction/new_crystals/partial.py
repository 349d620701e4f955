"""A CSV that grows part by part, and goes on after an interruption where its last part ended."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_text
from foldwise.common.reading import parse_json, read_bytes

COLUMNS = ("id", "prediction", "low", "high", "warning")


class PartialTable:
    """Rows of `out`, kept in `out.partial` until all are there.

    Beside it `out.partial.json` says of which work it is and how many bytes are complete: what a
    kill has left behind them is cut off.

    Args:
        out: The finished file.
        fingerprint: Identity of the work; a partial file of other work is started again.

    Raises:
        FoldwiseError: Files of these names are there that this class did not write.
    """

    def __init__(self, out: Path, fingerprint: str) -> None:
        self._out, self._fingerprint = out, fingerprint
        self._rows = out.with_name(f"{out.name}.partial")
        self._state = out.with_name(f"{out.name}.partial.json")
        out.parent.mkdir(parents=True, exist_ok=True)
        done = self._complete_bytes()
        if done is None:
            header = _lines([COLUMNS])
            done = len(header)
            self._note(done)  # first, so that rows without a note are never this program's
            self._rows.write_bytes(header)
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
        there = [path for path in (self._state, self._rows) if os.path.lexists(path)]
        if not there:
            return None
        hint = "Move it away, or choose another --out."
        state = parse_json(read_bytes(there[0]), str(there[0]), hint) if self._state in there else 0
        if not isinstance(state, dict) or set(state) != {"fingerprint", "bytes"}:
            raise FoldwiseError("this program did not write it", where=str(there[0]), hint=hint)
        done = state["bytes"]
        if state["fingerprint"] != self._fingerprint or not isinstance(done, int):
            return None
        return done if self._rows.is_file() and done <= self._rows.stat().st_size else None

    def _note(self, done: int) -> None:
        write_text(self._state, json.dumps({"fingerprint": self._fingerprint, "bytes": done}))


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
