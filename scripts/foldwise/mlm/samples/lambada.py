"""Ko-LAMBADA from a local file: one blank per row, which becomes the mask."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256
from foldwise.common.tables import csv_rows
from foldwise.mlm.texts.hub import hub_files, is_hub
from foldwise.mlm.texts.text import json_lines

BLANK = "_"
_SPLITS, _DRAWN, _SEED = ("validation", "dev", "test"), 600, 42
_SUFFIXES = (".parquet", ".jsonl", ".csv", ".tsv")
_LAST_WORD = re.compile(r"(\S+?)([^\w\s]*)\s*$")


@dataclass(frozen=True)
class Blank:
    """One row: a text with a gap.

    Attributes:
        id: Row number as `lambada-000001`.
        before: Text in front of the gap.
        after: Text behind it.
        answer: The word of the gap.
        last_word: The row had no `_`; the gap is its last word, without final punctuation.
    """

    id: str
    before: str
    after: str
    answer: str
    last_word: bool


@dataclass(frozen=True)
class Lambada:
    """The rows of a file, and the file's hash."""

    blanks: list[Blank]
    sha256: str


def read_lambada(path: str | Path) -> Lambada | None:
    """Read `{"text", "answer"}` rows as JSON lines, CSV or TSV; `None` if there is no file.

    `hf://owner/dataset` names a dataset of the hub: of its validation part (else dev, else test),
    600 rows are drawn with the seed 42, as behind the published baseline.

    A `_` in the text is the gap. A row without one is asked for its last word; its `answer` may
    then be missing, or is that word.

    Raises:
        FoldwiseError: The file is empty or broken, or a row has no text or no answer.
    """
    if is_hub(path):
        return _hub_lambada(str(path))
    place = Path(path)
    if not place.exists():
        return None
    rows = _rows(place)
    if not rows:
        raise FoldwiseError("the file holds no row", where=str(path), hint="Give a filled file.")
    blanks = [_blank(row, number, place) for number, row in rows]
    return Lambada(blanks, file_sha256(place))


def _hub_lambada(name: str) -> Lambada:
    _, _, files = hub_files(name, "*.[pjct]*")
    known = [path for path in files if path.suffix in _SUFFIXES]
    chosen = next(
        (own for split in _SPLITS if (own := [one for one in known if split in one.name])), known
    )
    rows = [row for path in chosen for _, row in _rows(path)]
    order = list(range(len(rows)))
    random.Random(_SEED).shuffle(order)  # noqa: S311
    blanks: list[Blank] = []
    for at in order:
        row = {"text": _string(rows[at], "text") or _string(rows[at], "context"),
               "answer": _string(rows[at], "target") or _string(rows[at], "answer")}  # fmt: skip
        if all(row.values()) and len(blanks) < _DRAWN:
            blanks.append(_blank(row, at + 1, Path(name)))
    if not blanks:
        raise FoldwiseError("no row has text and answer", where=name, hint="Look at its files.")
    return Lambada(blanks, canonical_sha256([file_sha256(path) for path in chosen]))


def _rows(path: Path) -> list[tuple[int, Any]]:
    if path.suffix == ".parquet":
        try:
            return list(enumerate(pq.read_table(path).to_pylist(), start=1))
        except (OSError, pa.ArrowException) as error:
            raise FoldwiseError(
                "it is not a Parquet file", where=str(path), hint="Copy it again."
            ) from error
    if path.suffix not in (".csv", ".tsv"):
        return [(number, value) for number, value in json_lines(path) if value is not None]
    return list(csv_rows(path, delimiter="\t" if path.suffix == ".tsv" else ","))


def _blank(row: Any, number: int, path: Path) -> Blank:
    text, answer = (_string(row, key) for key in ("text", "answer"))
    name = f"lambada-{number:06d}"
    if text.count(BLANK) == 1 and answer:
        before, after = text.split(BLANK)
        return Blank(name, before, after, answer, last_word=False)
    last = _LAST_WORD.search(text)
    if BLANK in text or last is None:
        raise FoldwiseError(
            f"row {number} has {text.count(BLANK)} blanks and the answer {answer!r}",
            where=str(path),
            hint="Mark one blank with _ and give its answer.",
        )
    word = unicodedata.normalize("NFC", last[1]).lstrip("“‘\"'「『(〈《")
    if answer and unicodedata.normalize("NFC", answer) not in (word, last[1]):
        raise FoldwiseError(
            f"row {number} has no blank, and its answer {answer!r} is not its last word",
            where=str(path),
            hint="Mark the blank with _.",
        )
    return Blank(
        name, text[: last.start(1)], text[last.end(1) :], answer or last[1], last_word=True
    )


def _string(row: Any, key: str) -> str:
    value = row.get(key) if isinstance(row, dict) else None
    return unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
