"""Predictions of one trained model for the crystals of a graph store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import BatchSource, cut_by_size
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.memory import PartBudget
from foldwise.network.transform import TargetTransform

# Edges plus angles of one batch: few enough for a processor's cache, enough to fill a GPU.
BATCH_BUDGET = {"cpu": 60_000, "cuda": 4_000_000}


def batches_by_size(
    rows: NDArray[np.int64], sizes: NDArray[np.int64], budget: int
) -> Iterator[NDArray[np.int64]]:
    """Positions into `rows` in batches of crystals of like size, within the budget."""
    order = np.argsort(sizes[rows], kind="stable")
    for part in cut_by_size(sizes[rows[order]], budget):
        yield order[part]


@torch.no_grad()
def network_output(
    network: FlatCHGNet,
    store: BatchSource,
    rows: NDArray[np.int64],
    log: ProgressLog | None = None,
) -> NDArray[np.float64]:
    """Raw network output of the crystals at `rows`, in that order, float64, shape [len(rows)]."""
    output = np.empty(len(rows))
    budget = PartBudget(partial(print, file=sys.stderr))
    done = failures = 0
    network.eval()
    for positions in batches_by_size(rows, store.sizes, BATCH_BUDGET[store.device.type]):
        own = rows[positions]
        energies = budget.run(store.sizes[own], partial(_energies, network, store, own))
        output[positions] = energies.double().cpu().numpy()
        done += len(positions)
        failures += int((~np.isfinite(output[positions])).sum())
        if log is not None:
            log.step(done, f"structures  {failures} failure(s)")
    return output


def _energies(
    network: FlatCHGNet, store: BatchSource, rows: NDArray[np.int64], parts: list[slice]
) -> Tensor:
    """Network output of the crystals at `rows`, one part after the other."""
    return torch.cat([network(store.batch(torch.from_numpy(rows[part]))) for part in parts])


def predict(
    network: FlatCHGNet,
    transform: TargetTransform,
    store: BatchSource,
    composition: NDArray[np.float64],
    rows: NDArray[np.int64],
    *,
    log: ProgressLog | None = None,
) -> NDArray[np.float64]:
    """Predictions in target units of the crystals at `rows`, shape [len(rows)]."""
    output = network_output(network, store, rows, log)
    return transform.to_target(output, composition[rows], store.atoms[rows])
