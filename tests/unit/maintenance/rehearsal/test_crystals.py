"""Stand-in crystals are as dense with edges and angles as real ones, and say what they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from foldwise.crystals.neighbors import build_graph
from foldwise.crystals.parsing import check_crystal, parse_structure
from foldwise.tasks.matbench_json import read_split_json
from maintenance.rehearsal.crystals import (
    atomic_volumes,
    cell_with_room,
    most_cubic,
    stand_in,
)
from maintenance.rehearsal.dataset import as_dict
from paths import REPOSITORY


@pytest.fixture(scope="module")
def real():
    table = read_split_json(REPOSITORY / "data" / "matbench_mp_e_form.json.gz", parse_structure)
    at = table.columns.index("structure")
    return [row[at] for row in table.rows]


def per_atom(crystals):
    graphs = [build_graph(crystal) for crystal in crystals]
    atoms = sum(len(crystal.numbers) for crystal in crystals)
    return np.array([sum(graph.core[at] for graph in graphs) / atoms for at in range(3)])


def test_edges_bonds_and_angles_per_atom_are_those_of_real_crystals(real):
    """Within 20 % of the 3,589, of which every twelfth is taken here."""
    volumes, generator = atomic_volumes(real), np.random.default_rng(1)
    picked = real[::12]
    made = [
        stand_in(
            dict(zip(*np.unique(crystal.numbers, return_counts=True), strict=True)),
            volumes,
            generator,
        )
        for crystal in picked
    ]
    for crystal in made:
        check_crystal(crystal)
    assert np.abs(per_atom(made) / per_atom(picked) - 1).max() < 0.2


def test_no_cell_is_a_needle():
    """149 atoms in a full cell would be 149 sites in a row: no crystal is."""
    for count in range(1, 445):
        shape = cell_with_room(count)
        assert count <= np.prod(shape) <= 1.1 * count + 1
        assert max(shape) / min(shape) <= 5
    assert cell_with_room(149) == (5, 5, 6)
    assert cell_with_room(64) == (4, 4, 4)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(1, 444))
def test_a_cell_is_as_cubic_as_its_number_of_atoms_allows(count):
    sides = most_cubic(count)
    assert np.prod(sides) == count
    others = [
        max(a, b, count // a // b)
        for a in range(1, count + 1)
        if count % a == 0
        for b in range(1, count // a + 1)
        if count // a % b == 0
    ]
    assert max(sides) == min(others)


def test_pymatgen_reads_a_stand_in_as_it_reads_matbenchs_structures(real):
    crystal = stand_in({8: 3.0, 26: 2.0}, atomic_volumes(real), np.random.default_rng(0))
    structure = Structure.from_dict(as_dict(crystal))
    assert structure.composition.reduced_formula == "Fe2O3"
    np.testing.assert_allclose(structure.lattice.matrix, crystal.lattice, atol=1e-6)


def test_no_two_atoms_of_the_densest_element_meet(real):
    """Nearer than 0.5 Å, a crystal would be refused, and a whole task's submission with it."""
    volumes, generator = atomic_volumes(real), np.random.default_rng(2)
    densest = int(np.argmin(volumes))
    nearest = np.inf
    for count in (2, 53, 250):
        crystal = stand_in({densest: float(count)}, volumes, generator)
        check_crystal(crystal)
        structure = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
        nearest = min(nearest, structure.distance_matrix[~np.eye(count, dtype=bool)].min())
    assert nearest > 0.55
