"""How much of a test set stands in the training set already: same formula, same structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.tasks.duplicates.matching import MATCHER, Pair, same_structures
from foldwise.tasks.splits import FoldSplit

FORMULA, STRUCTURE = "formula", "structure"
COLUMNS = ["fold", "test_id", "train_id", "kind", "formula", "target_difference"]
_TRAIN, _TEST = 1, 2


def duplicate_pairs(
    targets: pd.DataFrame,
    crystals: Mapping[str, CrystalArrays],
    splits: Sequence[FoldSplit],
    workers: int = 1,
) -> pd.DataFrame:
    """Every pair of a test row and a training row of the same reduced formula, by fold.

    `kind` is "structure" where StructureMatcher also finds the two crystals to be the same, else
    "formula". Worst first: same structure before same formula, then by the size of the target
    difference (test minus training, in the unit of the target).

    Only pairs of one formula whose primitive cells have equally many atoms are matched: others
    cannot match with StructureMatcher's defaults. Pairs that no fold separates are not matched.

    Args:
        targets: Table with columns `id`, `formula`, `target`.
        crystals: Crystals by id.
        splits: The folds.
        workers: Processes that match; the table does not depend on them.

    Returns:
        Table with the columns `COLUMNS`.

    Raises:
        FoldwiseError: A split names a row without target, or a row has no structure.
    """
    _check_ids(targets["id"], crystals, splits)
    ids = targets["id"].astype(str).to_numpy()
    roles = _roles(ids, splits)
    groups = _formula_groups(targets)
    same = same_structures(
        (_ever_separated(members, roles) for members in groups),
        {row: crystals[ids[row]] for members in groups for row in members},
        workers,
    )
    fold, test, train = _separated(groups, roles, [split.fold for split in splits])
    matched = _are_among(test, train, same, len(ids))
    target = targets["target"].to_numpy(dtype=np.float64)
    table = pd.DataFrame(
        {
            "fold": fold,
            "test_id": ids[test],
            "train_id": ids[train],
            "kind": np.where(matched, STRUCTURE, FORMULA),
            "formula": targets["formula"].to_numpy()[test],
            "target_difference": target[test] - target[train],
        },
        columns=COLUMNS,
    )
    order = table.assign(size=-table["target_difference"].abs())
    order = order.sort_values(
        ["fold", "kind", "size", "test_id", "train_id"],
        ascending=[True, False, True, True, True],
        kind="stable",
    )
    return order[COLUMNS].reset_index(drop=True)


def summarize(pairs: pd.DataFrame, splits: Sequence[FoldSplit]) -> dict[str, Any]:
    """Counts per fold and over all folds, for duplicates.json.

    A test row counts as `same_structure` if any training row of its fold matches it, and as
    `same_formula` if any has its formula (which every match has).
    """
    folds = []
    for split in splits:
        own = pairs[pairs["fold"] == split.fold]
        matched = own[own["kind"] == STRUCTURE]
        folds.append(
            {
                "fold": split.fold,
                **_shares(len(split.test), own["test_id"].nunique(), matched["test_id"].nunique()),
                "pairs_same_formula": len(own),
                "pairs_same_structure": len(matched),
            }
        )
    totals = [
        sum(int(fold[key]) for fold in folds)
        for key in ("n_test", "n_test_same_formula", "n_test_same_structure")
    ]
    return {
        "task": splits[0].task,
        "matcher": MATCHER,
        "folds": folds,
        "all_folds": _shares(*totals),
    }


def _shares(n_test: int, n_formula: int, n_structure: int) -> dict[str, int | float]:
    return {
        "n_test": n_test,
        "n_test_same_formula": n_formula,
        "n_test_same_structure": n_structure,
        "fraction_same_formula": n_formula / n_test,
        "fraction_same_structure": n_structure / n_test,
    }


def _check_ids(
    ids: Iterable[str], crystals: Mapping[str, CrystalArrays], splits: Sequence[FoldSplit]
) -> None:
    known = set(ids)
    listed = {name for split in splits for name in (*split.train, *split.test)}
    strange = sorted((listed - known) | (known - crystals.keys()))
    if strange:
        raise FoldwiseError(
            f"{len(strange)} id(s) are not in all inputs, the first is {strange[0]!r}",
            where="targets, structures, splits",
            hint="Make the three from the same dataset.",
        )


def _roles(ids: NDArray[np.object_], splits: Sequence[FoldSplit]) -> NDArray[np.int8]:
    """`_TRAIN`, `_TEST` or 0 for every fold and row, [n_folds, n]."""
    place = {name: row for row, name in enumerate(ids)}
    roles = np.zeros((len(splits), len(ids)), dtype=np.int8)
    for own, split in zip(roles, splits, strict=True):
        own[[place[name] for name in split.train]] = _TRAIN
        own[[place[name] for name in split.test]] = _TEST
    return roles


def _formula_groups(targets: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Rows by formula, for formulas with several rows."""
    rows = targets.reset_index(drop=True).groupby("formula", sort=False).indices
    return [np.asarray(members) for members in rows.values() if len(members) > 1]


def _ever_separated(members: NDArray[np.int64], roles: NDArray[np.int8]) -> list[Pair]:
    """Pairs of rows of which some fold tests one and trains on the other."""
    left, right = (members[part] for part in np.triu_indices(len(members), k=1))
    both = roles[:, left] + roles[:, right]
    apart = ((both == _TRAIN + _TEST) & (roles[:, left] > 0) & (roles[:, right] > 0)).any(axis=0)
    pairs = np.sort(np.stack([left[apart], right[apart]], axis=1), axis=1)
    return [(int(one), int(other)) for one, other in pairs]


def _separated(
    groups: Sequence[NDArray[np.int64]], roles: NDArray[np.int8], folds: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Fold, test row and training row of every pair of one formula that a fold separates."""
    parts = list(_separated_parts(groups, roles, folds))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, nothing
    fold, test, train = (np.concatenate(column) for column in zip(*parts, strict=True))
    return fold, test, train


def _separated_parts(
    groups: Sequence[NDArray[np.int64]], roles: NDArray[np.int8], folds: Sequence[int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    for fold, own in zip(folds, roles, strict=True):
        for members in groups:
            tested, trained = members[own[members] == _TEST], members[own[members] == _TRAIN]
            if len(tested) and len(trained):
                test = np.repeat(tested, len(trained))
                yield np.full(len(test), fold), test, np.tile(trained, len(tested))


def _are_among(
    left: NDArray[np.int64], right: NDArray[np.int64], pairs: set[Pair], n: int
) -> NDArray[np.bool_]:
    """Which of the pairs, in any order, are among `pairs`."""
    keys = np.array([one * n + other for one, other in pairs], dtype=np.int64)
    return np.isin(np.minimum(left, right) * n + np.maximum(left, right), keys)
