"""What every way of cutting shares: the rule, the fold that is asked for, the cut, the parts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

Kind = Literal[
    "official", "random", "formula", "chemical_system", "spacegroup", "prototype", "column",
    "time", "cluster", "file",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
OWN_KINDS = tuple(kind for kind in KINDS if kind != "official")
WITH_TABLE = ("column", "time", "file")


@dataclass(frozen=True)
class SplitRule:
    """How folds are cut.

    Attributes:
        kind: One of `KINDS`.
        table: CSV or Parquet with the columns `id` and `column`, for the kinds `WITH_TABLE`.
        column: Units of independence (kind `column`), dates or numbers (`time`), or fold numbers
            or the words train and test (`file`).
    """

    kind: str
    table: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Asked:
    """Which fold is asked for.

    Attributes:
        fold: Number of the fold, from 0.
        n_folds: Folds; of kind `cluster` the number of clusters, of kind `file` that of the file.
        seed: Of shuffles, of the order of equally large groups, and of the clusters.
        where: Task and fold, for error messages.
    """

    fold: int
    n_folds: int
    seed: int
    where: str


@dataclass(frozen=True)
class Cut:
    """A fold before its hold-outs are cut.

    Attributes:
        train: Training rows in dataset order.
        test: Test rows in dataset order.
        unit: What hold-outs may not divide, by row.
        protocol: How the fold was made.
        unit_name: The unit in words.
    """

    train: list[str]
    test: list[str]
    unit: dict[str, str]
    protocol: str
    unit_name: str


def partition(
    ids: Sequence[str], units: Sequence[str], n_parts: int, seed: int
) -> tuple[tuple[str, ...], ...]:
    """Cut rows into parts of nearly equal size; all rows of one unit go to the same part.

    Greedy: the units with most rows first, ties in the order of a hash of seed and unit, each to
    the part that is smallest so far. Part sizes then differ by at most the largest number of rows
    of one unit, and neither the row order nor a random generator decides. scikit-learn's GroupKFold
    cuts into parts of the same sizes, but without a shuffle knows no seed and leaves ties to its
    sort, and with one no longer balances the sizes.

    Args:
        ids: Row ids; each part keeps their order.
        units: Unit of each row.
        n_parts: Number of parts.
        seed: Another seed makes another partition.
    """
    counts = Counter(units)
    order = sorted(counts, key=lambda unit: (-counts[unit], _hash(seed, unit)))
    sizes = [0] * n_parts
    part_of: dict[str, int] = {}
    for unit in order:
        smallest = min(range(n_parts), key=sizes.__getitem__)
        part_of[unit] = smallest
        sizes[smallest] += counts[unit]
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    for name, unit in zip(ids, units, strict=True):
        parts[part_of[unit]].append(name)
    return tuple(tuple(part) for part in parts)


@lru_cache(maxsize=200_000)
def chemical_system(formula: str) -> str:
    """Elements of a formula in alphabetical order: "O-Ti"."""
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (half a second, in every job that reads a split)

    return "-".join(sorted(Composition(formula).get_el_amt_dict()))


def _hash(seed: int, unit: str) -> str:
    return hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest()
