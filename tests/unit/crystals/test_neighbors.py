from collections import Counter

import numpy as np
import pytest
from chgnet.graph import CrystalGraphConverter
from chgnet.model import CHGNet
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from foldwise.crystals.neighbors import (
    ATOM_CUTOFF,
    ATOM_SKIN_CUTOFF,
    BOND_CUTOFF,
    BOND_SKIN_CUTOFF,
    CrystalArrays,
    GraphError,
    angle_from_cosine,
    build_graph,
)
from foldwise.crystals.parsing import parse_structure
from graph_files import lonely_atom, salt

CONVERTER = CrystalGraphConverter(
    atom_graph_cutoff=ATOM_CUTOFF, bond_graph_cutoff=BOND_CUTOFF, on_isolated_atoms="error"
)


def stock_graph(crystal):
    structure = Structure(Lattice(crystal.lattice), crystal.numbers, crystal.frac)
    graph = CONVERTER(structure)
    ends = np.concatenate([graph.atom_graph.numpy(), graph.neighbor_image.numpy()], axis=1)
    edges = [tuple(int(value) for value in row) for row in ends]
    angles = [
        (edges[row[2]], edges[row[4]])
        for row in np.asarray(graph.bond_graph.tolist(), dtype=int).reshape(-1, 5)
    ]
    return Counter(edges), Counter(angles)


def own_graph(crystal):
    """Directed edges (centre, neighbour, image) and angles inside the cut-offs, as multisets."""
    graph = build_graph(crystal)
    directed = directed_edges(graph)
    n_edges, _, n_angles = graph.core
    pairs = graph.angle_edges[:n_angles].tolist()
    angles = [(directed[left], directed[right]) for left, right in pairs]
    return Counter(directed[: 2 * n_edges]), Counter(angles)


def directed_edges(graph):
    directed = []
    for (first, second), image in zip(
        graph.edge_atoms.tolist(), graph.edge_image.tolist(), strict=True
    ):
        directed.append((first, second, *image))
        directed.append((second, first, *(-step for step in image)))
    return directed


def vector(crystal, edge):
    centre, neighbour, *image = edge
    return (crystal.frac[neighbour] + image - crystal.frac[centre]) @ crystal.lattice


def random_crystal(seed, n_atoms, a, strain):
    """A triclinic cell with `n_atoms` atoms at random places of a grid, shaken."""
    generator = np.random.default_rng(seed)
    lattice = a * (np.eye(3) + strain * generator.uniform(-1, 1, (3, 3)))
    side = int(np.ceil(n_atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3) / side
    chosen = generator.choice(len(grid), n_atoms, replace=False)
    frac = (grid[chosen] + generator.uniform(0, 0.3 / side, (n_atoms, 3))) % 1.0
    return CrystalArrays(generator.integers(1, 90, n_atoms).astype(np.int32), frac, lattice)


FIXED = {
    "one atom": CrystalArrays(np.array([26]), np.zeros((1, 3)), np.eye(3) * 2.87),
    "one atom, oblique": CrystalArrays(
        np.array([29]), np.zeros((1, 3)), np.array([[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]])
    ),
    "two atoms": salt(),
    "25 atoms": random_crystal(5, 25, 8.4, 0.1),
}


@pytest.mark.parametrize("name", FIXED)
def test_edges_and_angles_are_those_of_chgnet(name):
    assert own_graph(FIXED[name]) == stock_graph(FIXED[name])


@given(
    seed=st.integers(0, 10**6),
    n_atoms=st.integers(1, 6),
    a=st.floats(2.9, 5.5),
    strain=st.floats(0, 0.25),
)
@settings(max_examples=40, deadline=None)
def test_strained_cells_have_the_edges_and_angles_of_chgnet(seed, n_atoms, a, strain):
    crystal = random_crystal(seed, n_atoms, a, strain)
    lengths = build_graph(crystal).edge_length
    # CHGNet calls a bond of exactly 3 Å short on one side of an angle and long on the other.
    assume(np.abs(lengths[:, None] - [ATOM_CUTOFF, BOND_CUTOFF]).min() > 1e-5)
    assert own_graph(crystal) == stock_graph(crystal)


@pytest.mark.parametrize("name", FIXED)
def test_lengths_angles_and_prefixes(name):
    crystal = FIXED[name]
    graph = build_graph(crystal)
    vectors = np.array([vector(crystal, edge) for edge in directed_edges(graph)])
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.repeat(graph.edge_length, 2), lengths, rtol=1e-6)
    unit = vectors / lengths[:, None]
    cosine = np.einsum("ij,ij->i", *(unit[graph.angle_edges[:, side]] for side in (0, 1)))
    np.testing.assert_allclose(graph.angle_theta, angle_from_cosine(cosine), atol=2e-6)
    n_edges, n_short, n_angles = graph.core
    assert (np.diff(graph.edge_length) >= 0).all()
    assert graph.edge_length.max() <= ATOM_SKIN_CUTOFF
    assert (graph.edge_length <= ATOM_CUTOFF).sum() == n_edges
    assert (graph.edge_length <= BOND_CUTOFF).sum() == n_short
    assert (graph.edge_length <= BOND_SKIN_CUTOFF).sum() == graph.n_short
    longest = graph.edge_length[graph.angle_edges // 2].max(axis=1, initial=0)
    assert (longest[:n_angles] <= BOND_CUTOFF).all()
    assert (longest[n_angles:] > BOND_CUTOFF).all()
    assert (longest <= BOND_SKIN_CUTOFF).all()


def test_angles_stay_where_arccos_has_a_slope():
    theta = angle_from_cosine(np.array([-1.5, -1.0, 0.0, 1.0, 1.5]))
    expected = np.arccos([-1 + 1e-6, -1 + 1e-6, 0.0, 1 - 1e-6, 1 - 1e-6])
    np.testing.assert_allclose(theta, expected, atol=1e-9)


def test_isolated_atoms_have_no_graph():
    with pytest.raises(GraphError) as caught:
        build_graph(lonely_atom())
    assert str(caught.value) == "1 isolated atom(s): no neighbour within 6 Å"


def test_an_atom_with_neighbours_in_the_skin_alone_is_isolated():
    with pytest.raises(GraphError, match="1 isolated atom"):
        build_graph(CrystalArrays(np.array([2]), np.zeros((1, 3)), np.eye(3) * 6.1))


def test_atoms_many_cells_apart_have_the_energy_that_chgnet_gives_them():
    """The oracle is the stock package, which builds its graph from the same far coordinates."""
    near = salt()
    far = near.frac + np.array([[70, 0, 0], [-70, 0, 0]])[np.arange(len(near.frac)) % 2]
    structure = Structure(Lattice(near.lattice), near.numbers, far)
    crystal = parse_structure(structure.as_dict())
    assert np.abs(crystal.frac).max() <= 1
    stock = CHGNet.load(use_device="cpu", verbose=False)
    wrapped = Structure(Lattice(crystal.lattice), crystal.numbers, crystal.frac)
    energies = [float(stock.predict_structure(s, task="e")["e"]) for s in (structure, wrapped)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)
    assert own_graph(crystal) == stock_graph(crystal)
    with pytest.raises(GraphError, match="too many cells"):
        build_graph(CrystalArrays(near.numbers, far, near.lattice))


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7, 1.0])
def test_coordinates_near_the_cell_stay_as_they_are(shift):
    near = salt()
    structure = Structure(Lattice(near.lattice), near.numbers, near.frac + shift)
    assert parse_structure(structure.as_dict()).frac.tobytes() == structure.frac_coords.tobytes()
