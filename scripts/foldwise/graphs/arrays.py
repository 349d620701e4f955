"""Arrays in files: written row by row, several read as one, and read in pieces.

Left to itself, the system reads ahead of every small piece of a memory-mapped array, as of a file
that is read from its beginning: random batches of a store that does not fit into its cache then
read most of the store again and again.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
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


class GrowingArray:
    """An array on disk whose first dimension grows; `close` makes it a plain `.npy` file.

    numpy's own `open_memmap` wants to know the length before the first row.

    Args:
        path: File to write.
        dtype: Of its elements.
        row: Shape of one row.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], row: tuple[int, ...]) -> None:
        self._dtype, self._row, self._length = dtype, row, 0
        self._file = path.open("wb")
        self._write_header()

    def append(self, rows: NDArray[np.generic]) -> None:
        """Add rows of the file's own type and shape."""
        if rows.dtype != self._dtype or rows.shape[1:] != self._row:
            raise ValueError(
                f"rows of {rows.dtype} {rows.shape[1:]}, not {self._dtype} {self._row}"
            )
        rows.tofile(self._file)
        self._length += len(rows)

    def close(self) -> None:
        """Write the length into the header, for which numpy leaves room."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        npy.write_array_header_1_0(
            self._file,
            {
                "descr": npy.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._length, *self._row),
            },
        )


AnyArray = NDArray[Any] | ChainedArray


def expect_pieces(array: AnyArray) -> None:
    """Read nothing ahead from now on: pieces will be wanted in any order."""
    for mapping in _mappings(array):
        mapping.madvise(mmap.MADV_RANDOM)


def ask_for(array: AnyArray, pieces: Iterable[slice]) -> None:
    """Have the system begin to read ranges of rows, all at once, before they are touched."""
    chained = array if isinstance(array, ChainedArray) else ChainedArray([array])
    for piece in pieces:
        for part, rows in chained.located(piece.start, piece.stop):
            if rows.stop > rows.start and isinstance(part, np.memmap):
                _ask_for_rows(part, rows)


def let_go(array: AnyArray) -> None:
    """Let go of the pages read so far; they stay in the system's cache."""
    for mapping in _mappings(array):
        mapping.madvise(mmap.MADV_DONTNEED)


def _ask_for_rows(part: np.memmap[Any, Any], rows: slice) -> None:
    if not isinstance(part.base, mmap.mmap):
        return
    # A mapping begins at the last multiple of the granularity before the array's first byte.
    first = part.offset % mmap.ALLOCATIONGRANULARITY
    start = first + rows.start * part.strides[0]
    begin = start - start % mmap.PAGESIZE
    part.base.madvise(mmap.MADV_WILLNEED, begin, first + rows.stop * part.strides[0] - begin)


def _mappings(array: AnyArray) -> Iterator[mmap.mmap]:
    for part in array.parts if isinstance(array, ChainedArray) else [array]:
        if isinstance(part.base, mmap.mmap):
            yield part.base
