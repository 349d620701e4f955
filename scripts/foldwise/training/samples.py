"""What a training sees: rows of the store with hard targets, soft targets, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.names import copied_crystal
from foldwise.graphs.store import GraphStore
from foldwise.study.recipe import Recipe
from foldwise.training.soft_targets import SoftTargets


@dataclass(frozen=True)
class Samples:
    """Training samples in target units; NaN where a sample has no target of that kind.

    Attributes:
        rows: Positions in the store, int64, shape [n].
        hard: DFT targets, float64, shape [n].
        soft: Teachers' mean predictions, float64, shape [n].
        weights: Weights of the soft targets, float64, shape [n].
    """

    rows: NDArray[np.int64]
    hard: NDArray[np.float64]
    soft: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Samples with a hard target."""
        mask: NDArray[np.bool_] = ~np.isnan(self.hard)
        return mask

    @property
    def n_soft(self) -> int:
        """Number of samples with a soft target."""
        return int((~np.isnan(self.soft)).sum())


def make_samples(
    store: GraphStore,
    *,
    targets: dict[str, float],
    fit_ids: list[str],
    soft: SoftTargets | None,
    recipe: Recipe,
    seed: int,
) -> Samples:
    """Samples of one training.

    Args:
        store: Graphs, of the copies too where the soft targets are about copies.
        targets: Hard target by crystal id.
        fit_ids: Crystals to fit.
        soft: Soft targets; those of crystals outside `fit_ids` are left out.
        recipe: Says whether to draw with replacement.
        seed: Seed of that draw.

    Raises:
        FoldwiseError: A crystal has no graph, or no soft target concerns the rows to fit.
    """
    ids = list(fit_ids)
    if recipe.bootstrap:
        drawn = np.random.default_rng([seed, 1]).integers(len(ids), size=len(ids))
        ids = [ids[position] for position in drawn]
    hard = np.array([targets[crystal] for crystal in ids])
    values = np.full(len(ids), np.nan)
    weights = np.ones(len(ids))
    if soft is not None:
        known = {crystal: at for at, crystal in enumerate(soft.ids)}
        allowed = set(fit_ids)
        copies = [name for name in soft.ids if copied_crystal(name) in allowed]
        ids, hard = [*ids, *copies], np.concatenate([hard, np.full(len(copies), np.nan)])
        at = np.array([known.get(crystal, -1) for crystal in ids])
        values = np.where(at >= 0, soft.values[at], np.nan)
        weights = np.where(at >= 0, soft.weights[at], 1.0)
        if not (at >= 0).any():
            raise FoldwiseError(
                "no soft target concerns a row to fit",
                where="soft targets",
                hint="Make the ensemble from the same fold as the student.",
            )
    return Samples(store.rows_of(ids), hard, values, weights)
