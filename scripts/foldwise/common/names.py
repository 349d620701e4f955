"""Folder names made from group values and crystal ids."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9._+=-]")
_MAX_LENGTH = 80


def safe_name(text: str) -> str:
    """`text` as a name that is safe in every file system.

    A name that had to be changed gets eight hex digits of its hash, so that two different texts
    never share a folder.

    >>> safe_name("anion_family=oxide")
    'anion_family=oxide'
    """
    name = _UNSAFE.sub("_", text)[:_MAX_LENGTH]
    if name == text and not text.startswith("."):
        return name
    content = text.encode("utf-8", "surrogatepass")
    return f"{name.lstrip('.')}-{hashlib.sha256(content).hexdigest()[:8]}"
