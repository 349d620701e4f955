"""Between the network's output and a target: reference or scale, link, size of the cell, range.

For a formation energy the reference is linear in composition and fitted to the *residual* of the
untrained network, `y - net(x)`, on training rows. For CHGNet's pretrained network that removes
the difference between total and formation energies; the network keeps what it knows. Every other
quantity gets a fresh head and a scale of its own; `auto` decides which by the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError

if TYPE_CHECKING:  # whoever only reads the constants needs no graphs, and no pymatgen
    from foldwise.graphs.store import GraphStore

N_ELEMENTS = 94
RIDGE = 1e-3  # of squared atomic fractions: an element in a single training row barely shrinks
TRANSFORMS = ("auto", "element_reference", "standardize", "log", "logistic")
# Fit of composition and pretrained energy against composition alone, root mean squares of
# left-out rows: below this share the target is an energy that the network knows.
ENERGY_SHARE = 0.8
# Skewness beyond which a positive quantity of more than one order of magnitude is fitted by its
# logarithm, if that is the more symmetric.
SKEWED, DECADE = 1.0, 10.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetTransform:
    """`target = link⁻¹(composition @ element + shift + scale * network output)`, per atom or not.

    Attributes:
        name: One of `TRANSFORMS`, `auto` apart: what it chose.
        element: Reference per element in units of the link, float64, shape [94].
        shift: Units of the link.
        scale: Units of the link per network unit.
        train_mean: Mean of the training targets.
        train_std: Their standard deviation (`ddof=0`).
        link: `log10` and `logit` of the target are what the network answers.
        low: Smallest prediction; smaller ones are moved there. `None` has no bound.
        extensive: Whether the target is a sum over the atoms of the cell: the network then answers
            its share per atom.
        reason: Why `auto` chose it; empty where it was asked for by name, or read from a file.
    """

    name: str
    element: Floats
    shift: float
    scale: float
    train_mean: float
    train_std: float
    link: Literal["identity", "log10", "logit"] = "identity"
    low: float | None = None
    extensive: bool = False
    reason: str = ""

    def offset(self, composition: Floats) -> Floats:
        """What is added to the scaled network output, shape [n], for fractions of shape [n, 94]."""
        offset: Floats = composition @ self.element + self.shift
        return offset

    def to_network(self, targets: Floats, composition: Floats, atoms: NDArray[np.int64]) -> Floats:
        """Targets as the loss takes them: in network units, of a `logit` as probabilities.

        Args:
            targets: Shape [n]; NaN stays NaN.
            composition: Atomic fractions, shape [n, 94].
            atoms: Atoms of each cell, shape [n].
        """
        if self.link == "logit":
            return targets
        values = targets / atoms if self.extensive else targets
        if self.link == "log10":
            values = np.log10(values)
        scaled: Floats = (values - self.offset(composition)) / self.scale
        return scaled

    def to_target(self, output: Floats, composition: Floats, atoms: NDArray[np.int64]) -> Floats:
        """Predictions in target units, of a `logit` the probability of class 1, shape [n].

        Args:
            output: Network output, shape [n].
            composition: Atomic fractions, shape [n, 94].
            atoms: Atoms of each cell, shape [n].
        """
        values: Floats = self.offset(composition) + self.scale * output
        if self.link == "logit":
            from scipy.special import expit  # noqa: PLC0415 (a tenth of a second, in every job)

            return np.asarray(expit(values), dtype=np.float64)
        if self.link == "log10":
            values = 10.0**values
        if self.extensive:
            values = values * atoms
        return values if self.low is None else np.maximum(values, self.low)


def compositions(store: GraphStore) -> Floats:
    """Atomic fractions of every crystal of a store, shape [n, 94], hydrogen first."""
    counts = np.zeros((len(store), N_ELEMENTS))
    owner = np.repeat(np.arange(len(store)), np.diff(store.offsets[:, 0]))
    np.add.at(counts, (owner, np.asarray(store.arrays["numbers"], dtype=np.int64) - 1), 1.0)
    counts /= counts.sum(axis=1, keepdims=True)  # in place: hundreds of MB of an official task
    return counts


def fit_transform(
    name: str,
    composition: Floats,
    targets: Floats,
    network_output: Floats,
    atoms: NDArray[np.int64] | None = None,
) -> TargetTransform:
    """Fit the transform to training rows.

    Args:
        name: One of `TRANSFORMS`.
        composition: Atomic fractions, shape [n, 94].
        targets: Shape [n].
        network_output: Output of the untrained network, shape [n]; `element_reference` and `auto`
            read it.
        atoms: Atoms of each cell, shape [n], where the target is a sum over them.

    Raises:
        FoldwiseError: A logarithm of a target that is not positive, a class that is neither 0 nor
            1, or a class summed over atoms.
    """
    values = targets if atoms is None else targets / atoms
    reason, low = "", None
    if name == "auto":
        name, reason = chosen_transform(composition, values, network_output)
        low = 0.0 if name == "standardize" and values.min() >= 0 else None
    _check_targets(name, targets, atoms)
    mean, std = float(targets.mean()), float(targets.std())
    nothing = np.zeros(N_ELEMENTS)
    if name == "logistic":
        return TargetTransform(name, nothing, 0.0, 1.0, mean, std, link="logit", reason=reason)
    if name == "element_reference":
        element = linear_reference(composition, values - network_output, RIDGE)
        fitted = TargetTransform(name, element, 0.0, 1.0, mean, std)
    else:
        linked = np.log10(values) if name == "log" else values
        spread = float(linked.std())
        fitted = TargetTransform(
            name, nothing, float(linked.mean()), spread if spread > 0 else 1.0, mean, std,
            link="log10" if name == "log" else "identity", low=low,
        )  # fmt: skip
    return replace(fitted, extensive=atoms is not None, reason=reason)


def chosen_transform(
    composition: Floats, targets: Floats, network_output: Floats
) -> tuple[str, str]:
    """The transform that training rows ask for, and the reason in words.

    Args:
        composition: Atomic fractions, shape [n, 94].
        targets: Shape [n]; per atom where the target is a sum over atoms.
        network_output: Output of the untrained network, shape [n].
    """
    values = np.unique(targets)
    if np.isin(values, (0.0, 1.0)).all() and len(values) == 2:
        return "logistic", "all training targets are 0 or 1"
    share = _energy_share(composition, targets, network_output)
    if share < ENERGY_SHARE:
        return (
            "element_reference",
            f"with the untrained network's energy a linear reference misses left-out training "
            f"rows by {share:.0%} of what composition alone does",
        )
    from scipy.stats import skew  # noqa: PLC0415 (most of a second, in every job)

    skewness = float(skew(targets)) if len(values) > 2 else 0.0
    if values[0] > 0 and values[-1] > DECADE * values[0] and skewness > SKEWED:
        logarithm = float(skew(np.log10(targets)))
        if abs(logarithm) < skewness:
            return (
                "log",
                f"all training targets are positive and span more than a factor of {DECADE:g}; "
                f"their skewness is {skewness:.2g}, of their logarithms {logarithm:.2g}",
            )
    zeros = float((targets == 0).mean())
    if values[0] < 0:
        return "standardize", "training targets have both signs, or are all negative"
    return (
        "standardize",
        f"no training target is negative ({zeros:.0%} are exactly zero), so no prediction is",
    )


def _check_targets(name: str, targets: Floats, atoms: NDArray[np.int64] | None) -> None:
    if name == "log" and not (targets > 0).all():
        raise FoldwiseError(
            f"{int((targets <= 0).sum())} training target(s) are not positive, and have no "
            "logarithm",
            where="transform",
            hint="Set transform: standardize or auto.",
        )
    if name == "logistic" and not (np.isin(targets, (0.0, 1.0)).all() and atoms is None):
        raise FoldwiseError(
            "a class is 0 or 1, and no sum over atoms",
            where="transform",
            hint="Write classes as 0 and 1 with intensive: true, or set another transform.",
        )


def _energy_share(composition: Floats, targets: Floats, network_output: Floats) -> float:
    """Residual of a linear model with the network's energy, against one without."""
    left = _left_out(composition, targets - network_output)
    alone = _left_out(composition, targets)
    return left / alone if alone > 0 else 1.0


def _left_out(composition: Floats, values: Floats) -> float:
    """Root mean square of leave-one-out residuals of the linear reference, in closed form."""
    gram = composition.T @ composition + RIDGE * np.eye(N_ELEMENTS)
    solved = np.linalg.solve(gram, composition.T)
    leverage = np.einsum("ij,ji->i", composition, solved)
    residual = (values - composition @ (solved @ values)) / (1 - leverage)
    return float(np.sqrt(np.mean(residual**2)))


def linear_reference(fractions: Floats, values: Floats, ridge: float) -> Floats:
    """Value of each element, shape [e], by least squares.

    Args:
        fractions: Atomic fractions, shape [n, e].
        values: Shape [n].
        ridge: Weight of the sum of squared element values.
    """
    gram = fractions.T @ fractions + ridge * np.eye(fractions.shape[1])
    return np.linalg.solve(gram, fractions.T @ values).astype(np.float64)
