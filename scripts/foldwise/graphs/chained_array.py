"""Memory-mapped arrays one after the other, read as one array without being copied."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class ChainedArray:
    """Rows of several arrays of one type, numbered through. What is read is copied, nothing else.

    Args:
        parts: The arrays; chains among them are taken apart.

    Attributes:
        parts: The arrays.
    """

    def __init__(self, parts: Sequence[NDArray[Any] | ChainedArray]) -> None:
        self.parts: list[NDArray[Any]] = []
        for part in parts:
            self.parts += part.parts if isinstance(part, ChainedArray) else [part]
        self._starts = [0, *np.cumsum([len(part) for part in self.parts]).tolist()]

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return sum(part.nbytes for part in self.parts)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.parts[0].dtype

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows, in memory."""
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        """A range of rows, or rows by number, [n, …]."""
        if isinstance(rows, slice):
            return self._range(*rows.indices(len(self)))
        found = np.empty((len(rows), *self.parts[0].shape[1:]), dtype=self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for at, part in enumerate(self.parts):
            own = owner == at
            found[own] = part[rows[own] - self._starts[at]]
        return found

    def located(self, start: int, stop: int) -> Iterator[tuple[NDArray[Any], slice]]:
        """Where a range of rows lies: each array that it touches, one at least, and its rows there.

        Mostly it is the graph of one crystal, which lies in one array.
        """
        at = min(bisect_right(self._starts, start), len(self.parts)) - 1
        while True:
            part, begun = self.parts[at], self._starts[at]
            yield part, slice(max(start - begun, 0), min(max(stop - begun, 0), len(part)))
            at += 1
            if at == len(self.parts) or self._starts[at] >= stop:
                break

    def _range(self, start: int, stop: int, _step: int) -> NDArray[Any]:
        pieces = [part[rows] for part, rows in self.located(start, stop)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
