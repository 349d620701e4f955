"""Reading files that others may have made: one reader for each format.

Whatever a file holds, a reader gives its content or a `FoldwiseError`. It never waits for a pipe,
reads a device without end, or unpacks more than a file of that size can reasonably hold.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from foldwise.common.errors import FoldwiseError, in_words

ABSENT = "Make it first."
TEXT_LIMIT = 2**31  # bytes of a JSON, CSV or other text file that is read whole
YAML_LIMIT = 2**24  # bytes
_SMALL = 2**28  # bytes that any gzip file may expand to
_CHUNK = 2**16  # bytes unpacked at once
_RATIO = 100  # expanded to packed bytes; of crystals as JSON it is about 5
_DEPTH = 100  # of nested lists and mappings
_NODES = 1_000_000  # of a YAML document, aliases written out
_GREATEST = 10**308  # of a whole number; a float holds nothing greater
_LONG_NUMBER = re.compile(r"\d{309}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def checked_file(
    path: str | os.PathLike[str], *, absent: str = ABSENT, limit: int | None = None
) -> Path:
    """A path after a check that it is a regular file that can be read.

    Args:
        path: The file.
        absent: What to do if it does not exist.
        limit: Most bytes that it may have.

    Raises:
        FoldwiseError: It does not exist, is a folder, pipe or device, is too large, or the system
            does not let this process read it.
    """
    where = str(path)
    try:
        facts = os.stat(path)  # noqa: PTH116 (a path may hold a NUL byte, on which Path differs)
    except (FileNotFoundError, NotADirectoryError):
        raise FoldwiseError("the file does not exist", where=where, hint=absent) from None
    except (OSError, ValueError) as error:
        raise _unreadable(error, where, "Check the path.") from error
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or device"
        raise FoldwiseError(f"it is {kind}, not a file", where=where, hint="Give a file.")
    if limit is not None and facts.st_size > limit:
        raise FoldwiseError(
            f"the file has {facts.st_size:,} bytes, more than the {limit:,} allowed",
            where=where,
            hint="Check that it is the right file.",
        )
    if not os.access(path, os.R_OK):
        raise FoldwiseError(
            "the file cannot be read (permission denied)",
            where=where,
            hint="Change its permissions.",
        )
    return Path(path)


@contextmanager
def opened(
    path: str | os.PathLike[str],
    *,
    packed: bool,
    absent: str = ABSENT,
    broken: str = "Copy or download it again.",
) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; what goes wrong within the block is one line.

    Args:
        path: The file.
        packed: Whether it is gzip.
        absent: What to do if it does not exist.
        broken: What to do if it cannot be read to its end.

    Raises:
        FoldwiseError: As of `checked_file`; or it is not intact gzip, or expands to more than a
            hundred times its size (and 256 MiB).
    """
    place, where = checked_file(path, absent=absent), str(path)
    try:
        with place.open("rb") as file:
            if not packed:
                yield file
                return
            most = max(_SMALL, _RATIO * place.stat().st_size)
            with gzip.GzipFile(fileobj=file) as inner:
                yield io.BufferedReader(_Capped(inner, most, where))
    except (EOFError, zlib.error):
        raise FoldwiseError("the file is truncated", where=where, hint=broken) from None
    except gzip.BadGzipFile as error:
        raise FoldwiseError(
            f"the file is not intact gzip ({error})", where=where, hint=broken
        ) from error
    except OSError as error:
        raise _unreadable(error, where, broken) from error


class _Capped(io.RawIOBase):
    """Bytes of a gzip file, up to a limit."""

    def __init__(self, file: gzip.GzipFile, limit: int, where: str) -> None:
        self._file, self._left, self._where = file, limit, where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        # `GzipFile.readinto` reads into a buffer of its own, as long as this one.
        count = self._file.readinto(memoryview(buffer)[:_CHUNK])
        self._left -= count
        if self._left < 0:
            raise FoldwiseError(
                "the file expands to far more than its size suggests",
                where=self._where,
                hint="Unpack it yourself if it is what you want to read.",
            )
        return count


def read_bytes(
    path: str | os.PathLike[str],
    *,
    packed: bool = False,
    limit: int = TEXT_LIMIT,
    absent: str = ABSENT,
) -> bytes:
    """Content of a file, unpacked if it is gzip.

    Raises:
        FoldwiseError: As of `opened`, or the content has more than `limit` bytes.
    """
    with opened(path, packed=packed, absent=absent) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise FoldwiseError(
            f"the file has more than the {limit:,} bytes allowed",
            where=str(path),
            hint="Check that it is the right file.",
        )
    return content


def read_text(
    path: str | os.PathLike[str],
    *,
    packed: bool = False,
    limit: int = TEXT_LIMIT,
    absent: str = ABSENT,
) -> str:
    """Content of a UTF-8 file, with or without a byte order mark.

    Raises:
        FoldwiseError: As of `read_bytes`, or it is not UTF-8.
    """
    content = read_bytes(path, packed=packed, limit=limit, absent=absent)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FoldwiseError(
            f"the encoding is not UTF-8 (byte 0x{content[error.start]:02x})",
            where=f"{path} line {line}",
            hint="Convert it: iconv -f LATIN1 -t UTF-8.",
        ) from error


def parse_json(text: str | bytes, where: str, hint: str = "Correct it.") -> Any:
    """Value of a JSON text; NaN and infinities are read as Python reads them.

    Raises:
        FoldwiseError: It is not JSON in UTF-8, is nested deeper than 100, or holds an integer
            beyond floats or half a surrogate pair.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(plain)
        if _may_be_deep(plain) or _LONG_NUMBER.search(plain) or _SURROGATE.search(plain):
            _check_nodes(value, most=None)
    except (ValueError, RecursionError) as error:
        raise FoldwiseError(
            f"it is not valid JSON ({said_by(error)})", where=where, hint=hint
        ) from error
    return value


def json_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object given as text.

    Raises:
        FoldwiseError: It is something else.
    """
    hint = f"Write {where} '{{\"key\": value}}'."
    value = parse_json(text, where, hint)
    if not isinstance(value, dict):
        raise FoldwiseError("it is not a JSON object", where=where, hint=hint)
    return value


def read_json(
    path: str | os.PathLike[str],
    *,
    packed: bool = False,
    absent: str = ABSENT,
    broken: str = "Delete it and run again.",
) -> Any:
    """Read a JSON file.

    Raises:
        FoldwiseError: As of `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, packed=packed, absent=absent), str(path), broken)


def parse_yaml(text: str, where: str, hint: str = "Correct it.") -> Any:
    """Value of a YAML text.

    Raises:
        FoldwiseError: It is not YAML; it refers to itself, is nested deeper than 100, or holds
            more than a million values with its aliases written out; or it holds an impossible
            date, an integer beyond floats, or half a surrogate pair.
    """
    try:
        value = yaml.safe_load(text)
        _check_nodes(value, most=_NODES)
    except Exception as error:  # PyYAML's constructors let errors of any kind through
        raise FoldwiseError(
            f"it is not valid YAML ({said_by(error)})", where=where, hint=hint
        ) from error
    return value


def read_yaml(
    path: str | os.PathLike[str], *, absent: str = ABSENT, broken: str = "Correct it."
) -> Any:
    """Read a YAML file.

    Args:
        path: The file.
        absent: What to do if it does not exist.
        broken: What to do if it is not YAML.

    Raises:
        FoldwiseError: As of `read_text` and `parse_yaml`.
    """
    return parse_yaml(read_text(path, limit=YAML_LIMIT, absent=absent), str(path), broken)


def _may_be_deep(text: str) -> bool:
    """Whether brackets nest deeper than is allowed, those within strings counted too."""
    if text.count("[") + text.count("{") <= _DEPTH:
        return False
    import numpy as np  # noqa: PLC0415 (most files have few brackets)

    depth, block = 0, 2**24
    for start in range(0, len(text), block):
        marks = np.frombuffer(text[start : start + block].encode("utf-32-le", "replace"), np.uint32)
        steps = np.isin(marks, (91, 123)).astype(np.int32) - np.isin(marks, (93, 125))
        depths = depth + np.cumsum(steps)
        if depths.max() > _DEPTH:
            return True
        depth = int(depths[-1])
    return False


def _check_nodes(value: Any, most: int | None) -> None:
    """Refuse what a parser lets through and other code would fail at.

    Args:
        value: What the parser made.
        most: Values that it may hold, those of a mapping that appears twice counted twice.

    Raises:
        ValueError: The value refers to itself, is too deep or too large, or holds a number or a
            text that cannot be written.
    """
    sizes: dict[int, int] = {}
    stack: list[tuple[Any, bool]] = [(value, False)]
    open_nodes: set[int] = set()
    while stack:
        node, done = stack.pop()
        if not isinstance(node, dict | list | tuple | set):
            _check_leaf(node)
            continue
        parts = [*node.keys(), *node.values()] if isinstance(node, dict) else list(node)
        if done:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes.get(id(part), 1) for part in parts)
            if most is not None and sizes[id(node)] > most:
                raise ValueError(f"more than {most:,} values, aliases written out")
        elif id(node) in open_nodes:
            raise ValueError("it refers to itself")
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            if len(open_nodes) > _DEPTH:
                raise ValueError(f"nested deeper than {_DEPTH}")
            stack.append((node, True))
            stack.extend((part, False) for part in parts)


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, int) and abs(value) >= _GREATEST:
        raise ValueError("an integer with more than 308 digits")


def _unreadable(error: Exception, where: str, hint: str) -> FoldwiseError:
    said = in_words(error) if isinstance(error, OSError) else str(error)
    return FoldwiseError(f"the file cannot be read ({said})", where=where, hint=hint)


def said_by(error: BaseException) -> str:
    """What an error says, at most 200 characters of it in one line."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 200 else f"{said[:200]}…"
