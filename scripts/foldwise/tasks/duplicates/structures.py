"""How much of a test set stands in the training set already: same formula, same structure."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.structure import Structure

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.tasks.splits import FoldSplit

FORMULA, STRUCTURE = "formula", "structure"
COLUMNS = ["fold", "test_id", "train_id", "kind", "formula", "target_difference"]
MATCHER = (
    "pymatgen StructureMatcher, defaults (ltol 0.2, stol 0.3, angle_tol 5, primitive cells, "
    "volumes scaled)"
)

Pair = tuple[str, str]


@dataclass(frozen=True)
class ReducedCrystal:
    """A crystal as StructureMatcher reduces it first: Niggli cell, then primitive cell."""

    id: str
    structure: Structure


def duplicate_pairs(
    targets: pd.DataFrame, crystals: Mapping[str, CrystalArrays], splits: Sequence[FoldSplit]
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

    Returns:
        Table with the columns `COLUMNS`.

    Raises:
        FoldwiseError: A split names a row without target, or a row has no structure.
    """
    _check_ids(targets["id"], crystals, splits)
    groups = _formula_groups(targets)
    separated = list(_separated_pairs(groups, splits))
    keys = {_key(test, train) for _, test, train in separated}
    same = _same_structures(groups.values(), crystals, keys)
    target = dict(zip(targets["id"], targets["target"].astype(float), strict=True))
    formula = dict(zip(targets["id"], targets["formula"], strict=True))
    rows = [
        {
            "fold": fold,
            "test_id": test,
            "train_id": train,
            "kind": STRUCTURE if _key(test, train) in same else FORMULA,
            "formula": formula[test],
            "target_difference": target[test] - target[train],
        }
        for fold, test, train in separated
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
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


def _formula_groups(targets: pd.DataFrame) -> dict[str, list[str]]:
    """Ids by formula, for formulas with several rows."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, formula in zip(targets["id"], targets["formula"], strict=True):
        groups[str(formula)].append(str(name))
    return {formula: names for formula, names in groups.items() if len(names) > 1}


def _separated_pairs(
    groups: Mapping[str, Sequence[str]], splits: Sequence[FoldSplit]
) -> Iterator[tuple[int, str, str]]:
    """(fold, test id, training id) of every pair of one formula that the fold separates."""
    for split in splits:
        test, train = set(split.test), set(split.train)
        for names in groups.values():
            trained = [name for name in names if name in train]
            for name in names:
                if name in test:
                    yield from ((split.fold, name, other) for other in trained)


def _same_structures(
    groups: Iterable[Sequence[str]],
    crystals: Mapping[str, CrystalArrays],
    wanted: Set[Pair],
) -> set[Pair]:
    matcher = StructureMatcher()
    same: set[Pair] = set()
    for names in groups:
        by_size: defaultdict[int, list[ReducedCrystal]] = defaultdict(list)
        for name in names:
            member = reduced(name, crystals[name])
            by_size[len(member.structure)].append(member)
        for members in by_size.values():
            same.update(
                key
                for left, right in combinations(members, 2)
                if (key := _key(left.id, right.id)) in wanted
                and matcher.fit(left.structure, right.structure, skip_structure_reduction=True)
            )
    return same


def reduced(name: str, crystal: CrystalArrays) -> ReducedCrystal:
    """The crystal as StructureMatcher would reduce it."""
    structure = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What StructureMatcher does to each partner of each pair, once for each crystal instead.
        niggli = structure.get_reduced_structure("niggli")
        return ReducedCrystal(name, niggli.get_primitive_structure())


def _key(left: str, right: str) -> Pair:
    return (left, right) if left < right else (right, left)
