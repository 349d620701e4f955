"""Answer all prompts of a job, with progress, and go on where a killed run stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256
from foldwise.common.progress import ProgressLog
from foldwise.text.batches import Batch, plan_batches
from foldwise.text.numbers import OK
from foldwise.text.prompts import Prompt
from foldwise.text.replies import Reply

Row = dict[str, Any]


class Engine(Protocol):
    """What runs a language model."""

    def answer(self, batch: Batch) -> list[Reply]:
        """Reply to every prompt of a batch, in its order."""


class Journal:
    """What has been answered, one line per batch, on the disk before the next batch begins.

    Batches are planned alike in every call, so a run that was killed at any moment goes on with
    the next one and ends with the same bytes.

    Args:
        path: The file; removed by `close` when everything stands elsewhere.
        key: Digest of all that decides the answers: a file of other prompts is begun anew.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self.done: dict[int, list[Row]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = self._read(key) if path.is_file() else b""
        self._file = path.open("wb")
        self._file.write(kept or _line({"key": key}))
        self._flush()

    def _read(self, key: str) -> bytes:
        """Whole lines of an earlier call; what a killed one tore is left out."""
        lines = self._path.read_bytes().split(b"\n")[:-1]
        kept: list[bytes] = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not kept and entry.get("key") != key:
                return b""
            if kept:
                self.done[int(entry["batch"])] = entry["rows"]
            kept.append(line + b"\n")
        return b"".join(kept)

    def write(self, batch: int, rows: Sequence[Row]) -> None:
        """Keep the answers of a batch."""
        self.done[batch] = list(rows)
        self._file.write(_line({"batch": batch, "rows": list(rows)}))
        self._flush()

    def close(self, *, remove: bool) -> None:
        """End; with `remove` the file goes too."""
        self._file.close()
        if remove:
            self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def answer_prompts(
    prompts: Sequence[Prompt],
    engine: Engine,
    *,
    batch_tokens: int,
    unit: str,
    journal: Path,
    identity: Mapping[str, Any],
    log: ProgressLog,
) -> pd.DataFrame:
    """Ask every prompt once.

    Args:
        prompts: The prompts, of different ids.
        engine: What answers.
        batch_tokens: Tokens of a batch at most.
        unit: Unit of the target, which free answers may name.
        journal: File of what is answered, beside the results; it outlives a killed run.
        identity: What decides the answers beside the prompts.
        log: Progress.

    Returns:
        One row per prompt, in their order: id, input_text, output_text, plain_text, input_tokens,
        output_tokens, finish_reason, number_share, parse_status, value, plain_value (NaN where
        nothing could be parsed).

    Raises:
        FoldwiseError: An id stands there twice.
    """
    if len({prompt.id for prompt in prompts}) < len(prompts):
        raise FoldwiseError(
            "an id is asked about twice", where="prompts", hint="Ask once about each crystal."
        )
    batches = plan_batches(prompts, batch_tokens)
    texts = [[prompt.id, prompt.text] for batch in batches for prompt in batch.prompts]
    sizes = [len(batch.prompts) for batch in batches]
    book = Journal(journal, canonical_sha256({"texts": texts, "sizes": sizes, **identity}))
    done = sum(map(len, book.done.values()))
    failures = _failures(row for rows in book.done.values() for row in rows)
    if done:
        log.resume(done)
        log.line(f"{done} of {len(prompts)} prompts were answered by an earlier call")
    started, first = time.monotonic(), done
    for number, batch in enumerate(batches):
        if number in book.done:
            continue
        rows = [
            {"id": prompt.id, "input_text": prompt.text, "input_tokens": len(prompt.tokens)}
            | reply.as_row(unit)
            for prompt, reply in zip(batch.prompts, engine.answer(batch), strict=True)
        ]
        book.write(number, rows)
        done += len(rows)
        failures += _failures(rows)
        rate = (done - first) / (time.monotonic() - started)
        log.step(done, f"{rate:.2f} prompts/s  {failures} parse failures")
    book.close(remove=False)
    table = pd.DataFrame([row for number in sorted(book.done) for row in book.done[number]])
    return table.set_index("id").loc[[prompt.id for prompt in prompts]].reset_index()


def _failures(rows: Any) -> int:
    return sum(row["parse_status"] != OK for row in rows)
