"""Views are the graphs of the displaced and strained crystals, and stay inside the skin."""

import gzip
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_files import small_store
from foldwise.crystals.neighbors import CrystalArrays, build_graph
from foldwise.crystals.parsing import parse_structure
from foldwise.graphs.sources import ResidentStore, StreamedStore
from foldwise.graphs.store import GraphColumns, GraphStore, write_store
from foldwise.graphs.views import (
    MAX_STRAIN,
    MIN_LENGTH,
    Distortion,
    Strength,
    Views,
    distorted,
    keys_of,
    normals,
)
from foldwise.network.checkpoint import new_network
from paths import REPOSITORY

CPU = torch.device("cpu")
COUNT = 60
ROWS = torch.arange(COUNT)
strengths = st.builds(Strength, st.floats(0, 0.3), st.floats(0, 0.1))


@pytest.fixture(scope="module")
def crystals():
    content = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at = content["columns"].index("structure")
    return [parse_structure(row[at]) for row in content["data"][:COUNT]]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("views") / "graphs", COUNT)


def views_of(store, strength, seed=0, kind=ResidentStore):
    return Views(kind(store, CPU), store.ids, strength, seed)


def changed(crystals, skin, distortion):
    """The distorted crystals as structures."""
    moves = np.split(
        distortion.moves.numpy(), np.cumsum([len(crystal.numbers) for crystal in crystals])[:-1]
    )
    for crystal, strain, move in zip(crystals, distortion.strain.numpy(), moves, strict=True):
        lattice = crystal.lattice @ (np.eye(3) + strain)
        frac = crystal.frac + move @ np.linalg.inv(lattice)
        yield CrystalArrays(crystal.numbers, frac, lattice)


@pytest.mark.parametrize("strength", [Strength(0.02, 0.005), Strength(0.1, 0.03)])
def test_a_view_is_the_graph_of_the_displaced_crystal(store, crystals, strength, tmp_path):
    views = views_of(store, strength)
    skin = views.source.skin(ROWS)
    distortion = views.distortion(skin, ROWS, epoch=1, number=0)
    graphs = [build_graph(crystal) for crystal in changed(crystals, skin, distortion)]
    write_store(tmp_path / "graphs", store.ids, crystals, GraphColumns.of(graphs), [])
    rebuilt = ResidentStore(GraphStore.open(tmp_path / "graphs"), CPU).batch(ROWS)
    view = views.at(1, 0).batch(ROWS)
    assert torch.equal(view.n_edges, rebuilt.n_edges)
    assert torch.equal(view.n_angles, rebuilt.n_angles)
    assert not torch.equal(view.n_edges, views.source.batch(ROWS).n_edges)
    network = new_network("chgnet", "pretrained")
    with torch.no_grad():
        energies, expected = network(view), network(rebuilt)
        relaxed = network(views.source.batch(ROWS))
    assert (energies - expected).abs().max() < 2e-6
    assert (energies - relaxed).abs().max() > 1e-4


def test_no_distortion_is_the_crystal_itself(store):
    source = ResidentStore(store, CPU)
    skin, plain = source.skin(ROWS), source.batch(ROWS)
    still = Distortion(torch.zeros(COUNT, 3, 3).double(), torch.zeros(len(skin.frac), 3).double())
    same = distorted(skin, still)
    assert torch.equal(same.n_edges, plain.n_edges)
    assert torch.equal(same.angle_left, plain.angle_left)
    torch.testing.assert_close(same.edge_length, plain.edge_length, rtol=0, atol=2e-6)
    torch.testing.assert_close(same.angle_theta, plain.angle_theta, rtol=0, atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(strength=strengths, seed=st.integers(0, 10**6), epoch=st.integers(0, 50))
def test_views_stay_inside_the_skin_and_no_edge_collapses(store, strength, seed, epoch):
    views = views_of(store, strength, seed)
    skin = views.source.skin(ROWS)
    strain, moves = views.distortion(skin, ROWS, epoch, 0)
    norm = strain.square().sum(dim=(1, 2)).sqrt()
    assert norm.max() <= MAX_STRAIN + 1e-12
    assert torch.equal(strain, strain.transpose(1, 2))
    owner = skin.graph.crystal_of_atom
    reach = 2 * moves.norm(dim=1)
    assert (reach + 6.3 * norm[owner]).max() <= 0.3 + 1e-9
    assert (reach + 3.2 * norm[owner]).max() <= 0.2 + 1e-9
    graph = skin.graph
    first, second = graph.edge_first, graph.edge_second
    fractional = skin.frac[first] - skin.frac[second] - skin.edge_image
    lattice = skin.lattice @ (torch.eye(3) + strain)
    vectors = (fractional[:, None] @ lattice[owner[first]])[:, 0] + moves[first] - moves[second]
    assert (vectors.norm(dim=1) >= MIN_LENGTH * graph.edge_length - 1e-5).all()


@pytest.mark.parametrize("kind", [ResidentStore, StreamedStore])
def test_a_view_depends_on_seed_epoch_number_and_crystal_alone(store, kind):
    strength = Strength(0.03, 0.01)
    views = views_of(store, strength, seed=3, kind=kind)
    whole = views.at(2, 1).batch(ROWS)
    part = views.at(2, 1).batch(torch.tensor([7, 5]))
    lengths = whole.edge_length.split(whole.n_edges.tolist())
    torch.testing.assert_close(
        part.edge_length, torch.cat([lengths[7], lengths[5]]), rtol=0, atol=0
    )
    for other in (views.at(1, 1), views.at(2, 0), views_of(store, strength, seed=4).at(2, 1)):
        assert not torch.equal(
            other.batch(torch.tensor([7, 5])).edge_length[:5], part.edge_length[:5]
        )


def test_random_numbers_are_standard_normal():
    keys = keys_of([f"crystal {number}" for number in range(2000)], CPU)
    values = normals(keys[:, None], torch.arange(20).expand(2000, -1))
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    assert abs((values**4).mean() - 3) < 0.15
    pairs = torch.corrcoef(torch.cat([values, values.roll(1, 0)], dim=1).T) - torch.eye(40)
    assert pairs.abs().max() < 0.12
    assert torch.equal(normals(keys[5], torch.tensor(3)), values[5, 3])
