"""Filled-up batches: real crystals do not notice, and few sizes serve many batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_files import small_store
from foldwise.graphs.batch import GraphBatch
from foldwise.graphs.padding import Size, SizeClasses, pad, size_of
from foldwise.graphs.sources import open_batches
from foldwise.network.acceleration import mean_size
from foldwise.network.checkpoint import new_network

COUNT = 24


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("padding") / "graphs", COUNT)


@pytest.fixture(scope="module")
def source(store):
    return open_batches(store, torch.device("cpu"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return new_network("chgnet_lite", "scratch").double()


def doubled(batch):
    return GraphBatch(*(t.double() if t.is_floating_point() else t for t in batch))


rows = st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=20)


@pytest.mark.slow  # buys: filling up changes no gradient, for any batch
@settings(max_examples=25, deadline=None)
@given(rows=rows, spare=st.tuples(*[st.integers(1, 40)] * 5))
def test_energies_and_gradients_are_those_of_the_batch_alone(source, network, rows, spare):
    batch = doubled(source.batch(torch.tensor(rows)))
    size = Size(*(own + more for own, more in zip(size_of(batch), spare, strict=True)))
    filled = pad(batch, size)
    assert size_of(filled) == size
    assert int(filled.n_edges.sum()) == size.edges
    assert int(filled.n_angles.sum()) == size.angles
    gradients = []
    for each in (batch, filled):
        network.zero_grad()
        energies = network(each)[: len(rows)]
        energies.square().sum().backward()
        gradients.append([energies.detach(), *(p.grad.clone() for p in network.parameters())])
    for alone, among in zip(*gradients, strict=True):
        torch.testing.assert_close(alone, among, rtol=1e-9, atol=1e-11)


def test_the_fused_kernels_take_a_filled_batch_too(source):
    torch.manual_seed(0)
    network = new_network("chgnet_lite", "scratch")
    batch = source.batch(torch.arange(10))
    filled = pad(batch, Size(*(2 * own + 1 for own in size_of(batch))))
    with torch.no_grad():
        torch.testing.assert_close(network(filled)[:10], network(batch), rtol=1e-4, atol=1e-5)


@given(rows=rows)
def test_a_size_class_holds_its_batch_with_little_waste(source, store, rows):
    classes = SizeClasses(mean_size(store))
    size = size_of(source.batch(torch.tensor(rows)))
    chosen = classes.smallest(size)
    assert min(wanted - own for wanted, own in zip(chosen, size, strict=True)) >= 1
    waste = [wanted - 1.2 * (own + 1) for wanted, own in zip(chosen, size, strict=True)]
    assert min(waste) <= 1  # what decides the class fills it, but for rounding up


def test_crystals_without_angles_need_no_room_for_them():
    chosen = SizeClasses(np.array([2.0, 10.0, 0.0, 0.0])).smallest(Size(8, 16, 80, 0, 0))
    assert chosen[1:] < (25, 120, 2, 2)
    assert min(chosen[3:]) == 1


def test_random_batches_of_one_length_share_few_sizes(source, store):
    classes, generator = SizeClasses(mean_size(store)), np.random.default_rng(0)
    drawn = (generator.choice(COUNT, 16, replace=False) for _ in range(200))
    sizes = [classes.smallest(size_of(source.batch(torch.from_numpy(each)))) for each in drawn]
    assert len(set(sizes)) <= 4
