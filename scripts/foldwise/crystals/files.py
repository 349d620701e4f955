"""Crystals as plain arrays in one file, `structures.npz`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from zipfile import BadZipFile

import numpy as np

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path
from foldwise.crystals.neighbors import CrystalArrays


def read_structures(path: str | os.PathLike[str]) -> tuple[list[str], list[CrystalArrays]]:
    """Ids and crystals of a `structures.npz`.

    Raises:
        FoldwiseError: The file is missing, truncated or lacks an array.
    """
    try:
        with np.load(path) as archive:
            ids, lattice, offsets = archive["ids"], archive["lattice"], archive["offsets"]
            numbers, frac = archive["numbers"], archive["frac"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FoldwiseError(
            f"the structure file is missing, truncated or incomplete ({error})",
            where=str(path),
            hint="Delete it and prepare the dataset again.",
        ) from error
    crystals = [
        CrystalArrays(numbers[start:stop], frac[start:stop], lattice[row])
        for row, (start, stop) in enumerate(pairwise(offsets))
    ]
    return [str(crystal) for crystal in ids], crystals


def write_structures(
    path: str | os.PathLike[str], ids: Sequence[str], crystals: Sequence[CrystalArrays]
) -> None:
    """Write crystals atomically.

    The arrays are `ids`, `lattice` [n, 3, 3] in Å, `offsets` [n + 1], and per atom `numbers` and
    `frac` [n_atoms, 3].
    """
    sizes = [len(crystal.numbers) for crystal in crystals]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            ids=np.array(ids, dtype=np.str_),
            lattice=np.stack([crystal.lattice for crystal in crystals]),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            numbers=np.concatenate([crystal.numbers for crystal in crystals]),
            frac=np.concatenate([crystal.frac for crystal in crystals]),
        )
