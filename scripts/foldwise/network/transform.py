"""What is added to the network's output: an element reference, or a shift and a scale.

For a formation energy the reference is linear in composition and fitted to the *residual* of the
untrained network, `y - net(x)`, on training rows. For CHGNet's pretrained network that removes
the difference between total and formation energies; the network keeps what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.graphs.store import GraphStore

N_ELEMENTS = 94
RIDGE = 1e-3  # of squared atomic fractions: an element in a single training row barely shrinks
TRANSFORMS = ("element_reference", "standardize")


@dataclass(frozen=True)
class TargetTransform:
    """`target = composition @ element + shift + scale * network output`.

    Attributes:
        name: One of `TRANSFORMS`.
        element: Reference per element in target units, float64, shape [94].
        shift: Target units.
        scale: Target units per network unit.
        train_mean: Mean of the training targets.
        train_std: Their standard deviation (`ddof=0`).
    """

    name: str
    element: NDArray[np.float64]
    shift: float
    scale: float
    train_mean: float
    train_std: float

    def offset(self, composition: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is added to the scaled network output, shape [n], for fractions of shape [n, 94]."""
        offset: NDArray[np.float64] = composition @ self.element + self.shift
        return offset


def compositions(store: GraphStore) -> NDArray[np.float64]:
    """Atomic fractions of every crystal of a store, shape [n, 94], hydrogen first."""
    counts = np.zeros((len(store), N_ELEMENTS))
    owner = np.repeat(np.arange(len(store)), np.diff(store.offsets[:, 0]))
    np.add.at(counts, (owner, np.asarray(store.arrays["numbers"], dtype=np.int64) - 1), 1.0)
    fractions: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return fractions


def fit_transform(
    name: str,
    composition: NDArray[np.float64],
    targets: NDArray[np.float64],
    network_output: NDArray[np.float64],
) -> TargetTransform:
    """Fit the transform to training rows.

    Args:
        name: One of `TRANSFORMS`.
        composition: Atomic fractions, shape [n, 94].
        targets: Shape [n].
        network_output: Output of the untrained network, shape [n]; `standardize` ignores it.
    """
    mean, std = float(targets.mean()), float(targets.std())
    if name == "standardize":
        scale = std if std > 0 else 1.0
        return TargetTransform(name, np.zeros(N_ELEMENTS), mean, scale, mean, std)
    residual = targets - network_output
    gram = composition.T @ composition + RIDGE * np.eye(N_ELEMENTS)
    element = np.linalg.solve(gram, composition.T @ residual).astype(np.float64)
    return TargetTransform(name, element, 0.0, 1.0, mean, std)
