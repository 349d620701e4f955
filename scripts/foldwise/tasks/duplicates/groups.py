"""Which rows of several tasks are the same crystal, whatever their ids."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.tasks.duplicates.matching import ReducedCrystal, matcher_of_ordered, reduced

COLUMNS = ("task", "id", "structure", "group")
_DECIMALS = 4  # of Å and of fractional coordinates, where two files hold the same crystal


def structure_groups(
    formulas: Mapping[str, Mapping[str, str]], crystals: Mapping[str, Mapping[str, CrystalArrays]]
) -> pd.DataFrame:
    """Number the structures of several tasks.

    Args:
        formulas: Reduced formula by id, by task.
        crystals: Crystals by id, by task.

    Returns:
        One row per task and id: `structure` is equal where two rows hold the same coordinates,
        `group` where two structures have one reduced formula and StructureMatcher finds them to
        be the same, or both the same as a third.
    """
    rows = [(task, crystal) for task, names in formulas.items() for crystal in names]
    keys = [_key(crystals[task][crystal]) for task, crystal in rows]
    number = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    structure = [number[key] for key in keys]
    group = np.arange(len(number))
    by_formula: defaultdict[str, dict[int, CrystalArrays]] = defaultdict(dict)
    for (task, crystal), at in zip(rows, structure, strict=True):
        by_formula[formulas[task][crystal]].setdefault(at, crystals[task][crystal])
    for polymorphs in by_formula.values():
        _join_matching(polymorphs, group)
    tasks, ids = zip(*rows, strict=True)
    return pd.DataFrame(
        {"task": tasks, "id": ids, "structure": structure, "group": group[structure]}
    )


def _key(crystal: CrystalArrays) -> bytes:
    parts = (crystal.lattice.round(_DECIMALS) + 0.0, crystal.frac.round(_DECIMALS) + 0.0)
    content = b"".join(part.tobytes() for part in parts)
    return hashlib.sha256(content + np.asarray(crystal.numbers, dtype=np.int32).tobytes()).digest()


def _join_matching(polymorphs: Mapping[int, CrystalArrays], group: NDArray[np.int64]) -> None:
    """Give all structures of a formula that match the smallest number among them."""
    if len(polymorphs) < 2:
        return
    by_size: defaultdict[int, list[tuple[int, ReducedCrystal]]] = defaultdict(list)
    for at, crystal in polymorphs.items():
        member = reduced(str(at), crystal)
        by_size[len(member.structure)].append((at, member))
    for members in by_size.values():
        _match_all(members, group)


def _match_all(members: Sequence[tuple[int, ReducedCrystal]], group: NDArray[np.int64]) -> None:
    matcher = matcher_of_ordered()
    for position, (left, crystal) in enumerate(members):
        for right, other in members[position + 1 :]:
            # Structures that are joined already need no second look.
            if group[left] != group[right] and matcher.fit(
                crystal.structure, other.structure, skip_structure_reduction=True
            ):
                joined = sorted((group[left], group[right]))
                group[group == joined[1]] = joined[0]
