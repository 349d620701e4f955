"""Crystals in numbers: pymatgen's density and neighbours, and nothing that depends on the cell."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.local_env import MinimumDistanceNN
from pymatgen.core.structure import Structure

from foldwise.crystals.coordination import nearest_neighbours
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.crystals.structure_features import STRUCTURE_FEATURES, structure_features
from foldwise.tasks.matbench_json import read_split_json
from paths import REPOSITORY


@pytest.fixture(scope="module")
def crystals() -> list[CrystalArrays]:
    table = read_split_json(REPOSITORY / "data" / "demo.json.gz", parse_structure)
    column = table.columns.index("structure")
    return [row[column] for row in table.rows[::25]]


def named(crystal: CrystalArrays) -> dict[str, float]:
    return dict(zip(STRUCTURE_FEATURES, structure_features(crystal).tolist(), strict=True))


def test_neighbours_are_pymatgens(crystals) -> None:
    finder = MinimumDistanceNN(tol=0.1)
    for crystal in crystals:
        structure = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
        ours = nearest_neighbours(crystal)
        for atom, found in enumerate(ours):
            theirs = finder.get_nn_info(structure, atom)
            assert sorted(index for index, _ in found) == sorted(n["site_index"] for n in theirs)


def test_density_volume_and_space_group_are_pymatgens(crystals) -> None:
    for crystal in crystals:
        structure = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
        found = named(crystal)
        assert found["density"] == pytest.approx(float(structure.density), rel=1e-6)
        assert found["volume_per_atom"] == pytest.approx(structure.volume / len(structure))
        assert found["spacegroup"] == structure.get_space_group_info(symprec=0.01)[1]


def test_caesium_chloride() -> None:
    crystal = CrystalArrays(
        np.array([55, 17], np.int32), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.eye(3) * 4.2
    )
    found = named(crystal)
    bond = 4.2 * np.sqrt(3) / 2
    assert (found["coordination_min"], found["coordination_max"]) == (8, 8)
    assert found["bond_mean"] == pytest.approx(bond)
    assert found["relative_bond_min"] == pytest.approx(bond / (2.60 + 1.00))  # Slater's radii, Å
    assert found["polarity_mean"] == pytest.approx(3.16 - 0.79)  # Pauling
    assert (found["like_bonds"], found["skew"], found["axis_short"]) == (0, 0, 1)


def test_a_doubled_cell_differs_in_its_atoms_and_axes_alone(crystals) -> None:
    crystal = crystals[3]
    doubled = CrystalArrays(
        np.concatenate([crystal.numbers, crystal.numbers]),
        np.concatenate([crystal.frac, crystal.frac + np.array([0, 0, 1])]) / [1, 1, 2],
        crystal.lattice * [[1], [1], [2]],
    )
    one, two = named(crystal), named(doubled)
    changed = {"atoms", "axis_middle", "axis_short"}
    for name in STRUCTURE_FEATURES:
        if name not in changed:
            assert two[name] == pytest.approx(one[name], nan_ok=True), name


def test_a_lonely_atom_has_no_bonds_and_helium_no_electronegativity() -> None:
    alone = CrystalArrays(np.array([2], np.int32), np.zeros((1, 3)), np.eye(3) * 30)
    found = named(alone)
    assert found["coordination_max"] == 0
    assert np.isnan(found["bond_mean"])
    assert np.isnan(found["polarity_mean"])
