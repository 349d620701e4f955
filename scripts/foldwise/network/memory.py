"""Work cut into parts that fit into memory, halved where they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from foldwise.graphs.sources import cut_by_size
from foldwise.network.devices import is_out_of_memory

Result = TypeVar("Result")

START_BUDGET = 4_000_000  # edges plus angles per part: about 40 GiB in training, 8 in inference


class PartBudget:
    """Edges plus angles that one part of a batch may have; it is halved on out-of-memory.

    Args:
        report: Takes the line that says so.
        start: Budget to begin with.
    """

    def __init__(self, report: Callable[[str], None], start: int = START_BUDGET) -> None:
        self.budget = start
        self._report = report

    def run(self, sizes: NDArray[np.int64], work: Callable[[list[slice]], Result]) -> Result:
        """Call `work` with parts of the batch; on out-of-memory call it again with halves.

        Args:
            sizes: Edges plus angles of each crystal of the batch.
            work: Does the whole batch part by part, from the beginning.

        Raises:
            torch.OutOfMemoryError: A single crystal does not fit.
        """
        while True:
            parts = cut_by_size(sizes, self.budget)
            try:
                return work(parts)
            except RuntimeError as error:
                if not is_out_of_memory(error) or len(parts) == len(sizes):
                    raise
            # Outside of the handler, whose traceback holds the tensors of the failed attempt.
            torch.cuda.empty_cache()
            self.budget = min(self.budget, int(sizes.sum())) // 2
            self._report(
                f"out of memory: batches are cut into parts of {self.budget:,} edges plus "
                "angles from here on; the result is the same up to the order of sums"
            )
