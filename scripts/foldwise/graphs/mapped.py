"""What the system reads of memory-mapped arrays: what is asked for, and no more.

Left alone it reads ahead of every small piece, as of a file that is read from its beginning: random
batches of a store that does not fit into the system's cache then read most of the store again and
again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.graphs.chained_array import ChainedArray

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
