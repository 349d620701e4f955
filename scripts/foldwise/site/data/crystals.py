"""Structures in shards, copies beside them, and which crystals are near-copies of each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.crystals.files import read_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.scripts import write_script
from foldwise.tasks.duplicates.structures import STRUCTURE

SHARD = 500
"""Crystals in one file."""
_COORDINATES, _LATTICE = 5, 6  # decimals of fractions of a cell edge, and of Å


def write_structures(site: Path, ids: Sequence[str], path: Path) -> int:
    """Write `structures_{shard}.js`: row `r` of the dataset is in shard `r // SHARD`.

    Returns:
        The number of crystals with a structure.
    """
    names, crystals = read_structures(path)
    known = dict(zip(names, crystals, strict=True))
    for start in range(0, len(ids), SHARD):
        part = [known.get(name) for name in ids[start : start + SHARD]]
        write_script(site, f"structures_{start // SHARD}", [_plain(crystal) for crystal in part])
    return sum(name in known for name in ids)


def write_copies(site: Path, ids: Sequence[str], path: Path, answers: pd.DataFrame) -> int:
    """Write `copies_{shard}.js`: the copies of each crystal that teachers have labelled.

    Args:
        site: Folder of the site.
        ids: The dataset's rows.
        path: `structures.npz` of the copies, named `{id}#{copy}`.
        answers: The teachers' answers: id of the copy, mean and std over teachers; the mean over
            folds where several folds have labelled it.

    Returns:
        The number of copies.
    """
    names, crystals = read_structures(path)
    labels = {
        str(row["id"]): {key: float(row[key]) for key in ("mean", "std")}
        for row in answers.to_dict("records")
    }
    of_crystal: defaultdict[str, list[Json]] = defaultdict(list)
    for name, crystal in zip(names, crystals, strict=True):
        origin, _, number = name.rpartition("#")
        entry: Json = {"copy": int(number), "structure": _plain(crystal)}
        of_crystal[origin].append(entry | labels.get(name, {}))
    for start in range(0, len(ids), SHARD):
        part = [of_crystal.get(name, []) for name in ids[start : start + SHARD]]
        write_script(site, f"copies_{start // SHARD}", part)
    return len(names)


def _plain(crystal: CrystalArrays | None) -> Json | None:
    """Lattice `[9]` in Å, atomic numbers and fractional coordinates `[3 n]`."""
    if crystal is None:
        return None
    return {
        "lattice": np.round(crystal.lattice, _LATTICE).ravel().tolist(),
        "numbers": crystal.numbers.tolist(),
        "frac": np.round(crystal.frac, _COORDINATES).ravel().tolist(),
    }


def structure_twins(path: Path | None) -> list[tuple[str, str]]:
    """Pairs (test crystal, training crystal) that StructureMatcher finds to be the same."""
    if path is None or not path.is_file():
        return []
    pairs = pd.read_csv(path, dtype={"test_id": str, "train_id": str})
    same = pairs[pairs["kind"] == STRUCTURE]
    return list(zip(same["test_id"], same["train_id"], strict=True))
