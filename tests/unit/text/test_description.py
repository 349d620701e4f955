"""Texts of crystals: deterministic, of the structure alone, right."""

from __future__ import annotations

import inspect
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.matbench_json import read_split_json
from foldwise.text.description import DETAILS, crystal_text
from paths import REPOSITORY

ROCK_SALT = CrystalArrays(
    numbers=np.array([11, 17], np.int32),
    frac=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
    lattice=np.array([[0.0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]]),
)


@cache
def real_crystals() -> list[CrystalArrays]:
    table = read_split_json(REPOSITORY / "data" / "demo.json.gz", parse_structure)
    column = table.columns.index("structure")
    return [row[column] for row in table.rows[::25]]


def test_rock_salt_is_described() -> None:
    assert crystal_text(ROCK_SALT, "sites") == (
        "Formula: NaCl (Na 50%, Cl 50%)\n"
        "Space group: Fm-3m (No. 225, cubic)\n"
        "Cell: a=5.64 b=5.64 c=5.64 alpha=90 beta=90 gamma=90\n"
        "Volume per atom: 22.43\n"
        "Na at 4a: 6 neighbours, 6 Cl at 2.82\n"
        "Cl at 4b: 6 neighbours, 6 Na at 2.82"
    )


def test_more_detail_only_adds() -> None:
    for crystal in real_crystals():
        brief, cell, sites = (crystal_text(crystal, detail) for detail in DETAILS)
        assert cell.startswith(brief + "\n")
        assert sites.startswith(cell + "\n")


def test_nothing_but_the_structure_is_asked_for() -> None:
    """The target cannot enter: the function is given arrays of a structure, and nothing else."""
    assert list(inspect.signature(crystal_text).parameters) == ["crystal", "detail"]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 19), st.randoms(use_true_random=False))
def test_order_of_atoms_and_choice_of_images_change_nothing(which: int, chance: object) -> None:
    crystal = real_crystals()[which]
    order = list(range(len(crystal.numbers)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    shifts = np.array([[chance.randint(-1, 1) for _ in range(3)] for _ in order])  # type: ignore[attr-defined]
    moved = CrystalArrays(crystal.numbers[order], crystal.frac[order] + shifts, crystal.lattice)
    for detail in ("composition", "cell"):
        assert crystal_text(moved, detail) == crystal_text(crystal, detail)
    # Where a choice of the origin swaps two letters, spglib goes by the atoms' order.
    without_letters = [
        sorted(re.sub(r"at (\d+)[a-zA-Z]", r"at \1", crystal_text(one, "sites")).split("\n"))
        for one in (moved, crystal)
    ]
    assert without_letters[0] == without_letters[1]


@pytest.mark.parametrize("which", range(0, 20, 4))
def test_a_doubled_cell_is_the_same_crystal(which: int) -> None:
    crystal = real_crystals()[which]
    doubled = CrystalArrays(
        np.concatenate([crystal.numbers, crystal.numbers]),
        np.concatenate([crystal.frac, crystal.frac + np.array([0, 0, 1])]) / [1, 1, 2],
        crystal.lattice * [[1], [1], [2]],
    )
    assert crystal_text(doubled, "cell") == crystal_text(crystal, "cell")


def test_a_lonely_atom_has_no_neighbour() -> None:
    alone = CrystalArrays(np.array([2], np.int32), np.zeros((1, 3)), np.eye(3) * 30)
    assert crystal_text(alone, "sites").endswith("He at 1a: 0 neighbours")
