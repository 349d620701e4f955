"""Columns as text for a script: rounded, byte planes side by side, gzip, base64.

A page opened from a folder may load scripts and nothing else, so a column is a string in a script.
Numbers are integers in a unit that the column names; the four bytes of all rows are laid out plane
by plane, because the high bytes hardly change and compress to nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Json = dict[str, Any]

DIGITS = 5
"""Digits that a number keeps below the leading one of its column's standard deviation."""
MISSING = -(2**31)
_LARGEST = 2**31 - 1
_SMALLEST = -300


def quantum_of(values: npt.ArrayLike) -> float:
    """The unit, a power of ten, in which numbers of this spread are kept.

    >>> quantum_of([0.0, 2.0])
    1e-05
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    spread = float(known.std()) if known.size else 0.0
    largest = float(np.abs(known).max()) if known.size else 0.0
    scale = spread or largest or 1.0
    exponent = math.floor(math.log10(scale)) - DIGITS
    # A column must fit 32 bits, whatever its outliers, and a unit must not be zero.
    least = math.ceil(math.log10(largest) - math.log10(_LARGEST)) if largest else exponent
    return float(10.0 ** max(exponent, least, _SMALLEST))


def number_column(values: npt.ArrayLike, quantum: float) -> Json:
    """Numbers `[n]`, rounded to multiples of `quantum`; NaN where there is none."""
    array = np.asarray(values, dtype=np.float64)
    whole = np.where(np.isfinite(array), np.rint(np.nan_to_num(array) / quantum), MISSING)
    return {"kind": "number", "quantum": quantum, "n": array.size, "bytes": _packed(whole)}


def whole_column(values: npt.ArrayLike) -> Json:
    """Whole numbers `[n]`."""
    array = np.asarray(values, dtype=np.int64)
    return {"kind": "number", "quantum": 1, "n": array.size, "bytes": _packed(array)}


def code_column(values: Sequence[Any]) -> Json:
    """Repeated texts `[n]`: the levels once, in sorted order, and a number per row."""
    levels, codes = np.unique(np.asarray([str(value) for value in values]), return_inverse=True)
    return {
        "kind": "code",
        "levels": [str(level) for level in levels],
        "n": len(codes),
        "bytes": _packed(codes),
    }


def text_column(values: Sequence[str]) -> Json:
    """Texts `[n]`."""
    content = json.dumps(list(values), ensure_ascii=False).encode()
    return {"kind": "text", "n": len(values), "bytes": _squeezed(content)}


def _packed(values: npt.NDArray[Any]) -> str:
    planes = values.astype("<i4").view(np.uint8).reshape(-1, 4).T
    return _squeezed(np.ascontiguousarray(planes).tobytes())


def _squeezed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, compresslevel=6, mtime=0)).decode("ascii")
