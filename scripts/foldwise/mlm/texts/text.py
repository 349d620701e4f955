"""Texts: what a sample is taken from, and how files of them are read and cut."""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Text:
    """One text.

    Attributes:
        id: Unique name; results are clustered by it.
        source: Where it comes from, e.g. `klue_ner`; results are grouped by it.
        license: Its licence in a few words.
        text: The text, in Unicode's composed form (NFC).
    """

    id: str
    source: str
    license: str
    text: str


def read_texts(path: str | Path) -> list[Text]:
    """Read JSON lines `{"id", "source", "license", "text"}` (only `text` is required), gzip or not.

    Raises:
        FoldwiseError: The file is missing, empty, not UTF-8, or a line is no such JSON object; the
            message names the line.
    """
    place = Path(path)
    name = place.name.removesuffix(".gz").removesuffix(".jsonl")
    texts = [
        _text(value, place, number, name)
        for number, value in json_lines(place)
        if value is not None
    ]
    if not texts:
        raise FoldwiseError(
            "the file holds no text", where=str(path), hint="Give JSON lines with a text each."
        )
    _check_unique(texts, place)
    return texts


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and value of every line of a JSON-lines file; blank lines give `None`.

    Readers of pandas and `datasets` do not say which line is broken.

    Raises:
        FoldwiseError: As `read_texts`.
    """
    lines = _content(path).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            yield number, None
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FoldwiseError(
                f"line {number} is no valid JSON ({getattr(error, 'msg', error)})",
                where=str(path),
                hint="Write one JSON object per line.",
            ) from error


def _content(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (FileNotFoundError, IsADirectoryError):
        raise FoldwiseError(
            "the file does not exist", where=str(path), hint="Check the path."
        ) from None
    except (OSError, EOFError) as error:
        raise FoldwiseError(
            "the file is truncated or no gzip file", where=str(path), hint="Copy it again."
        ) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FoldwiseError(
            f"line {line} is not UTF-8 (byte {raw[error.start]:#04x})",
            where=str(path),
            hint="Convert it, e.g. iconv -f CP949 -t UTF-8.",
        ) from error


def _text(value: Any, path: Path, number: int, name: str) -> Text:
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise FoldwiseError(
            f"line {number} has no text", where=str(path), hint='Write {"text": "…"} on each line.'
        )
    return Text(
        id=str(value.get("id", f"{name}/{number:06d}")),
        source=str(value.get("source", name)),
        license=str(value.get("license", "unknown")),
        text=unicodedata.normalize("NFC", text),
    )


def _check_unique(texts: Sequence[Text], path: Path) -> None:
    seen: set[str] = set()
    for text in texts:
        if text.id in seen:
            raise FoldwiseError(
                f"id {text.id!r} stands there twice",
                where=str(path),
                hint="Make every id unique: the intervals are clustered by it.",
            )
        seen.add(text.id)


def windows(text: str, max_chars: int) -> list[str]:
    """`text` whole if short enough, else cut into pieces of whole lines, or whole sentences.

    A sentence longer than `max_chars` stays whole.
    """
    if len(text) <= max_chars:
        return [text]
    pieces: list[str] = []
    for line in text.splitlines():
        pieces += [line] if len(line) <= max_chars else _SENTENCE_END.split(line)
    packed = [""]
    for piece in pieces:
        if packed[-1] and len(packed[-1]) + 1 + len(piece) > max_chars:
            packed.append("")
        packed[-1] = f"{packed[-1]} {piece}".strip()
    return [piece for piece in packed if piece]
