"""Arrays in `.npy` files that grow row by row: what is written need not fit into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


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
