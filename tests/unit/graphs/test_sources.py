"""Batches from the device and from the memory map; batches cut into parts."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_files import small_store
from foldwise.graphs.sources import ResidentStore, StreamedStore, cut_by_size, open_batches
from foldwise.graphs.store import GraphStore, join_stores

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("batch") / "graphs", 24)


@settings(deadline=None)  # a busy machine is no failure
@given(rows=st.lists(st.integers(0, 23), min_size=1, max_size=12))
def test_streamed_batches_equal_resident_ones(store, rows):
    picked = torch.tensor(rows)
    resident, streamed = ResidentStore(store, CPU).batch(picked), StreamedStore(store, CPU)
    for name, ours, theirs in zip(resident._fields, resident, streamed.batch(picked), strict=True):
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name


def test_a_resident_store_is_copied_in_pieces(store, monkeypatch):
    whole = ResidentStore(store, CPU).skin(torch.arange(24))
    monkeypatch.setattr("foldwise.graphs.sources.RELEASE_BYTES", 1000)
    pieces = ResidentStore(store, CPU).skin(torch.arange(24))
    for ours, theirs in zip((*whole.graph, *whole[1:]), (*pieces.graph, *pieces[1:]), strict=True):
        assert torch.equal(ours, theirs)


def test_a_store_beyond_the_budget_is_streamed(store):
    assert isinstance(open_batches(store, CPU, budget_bytes=1), StreamedStore)
    assert isinstance(open_batches(store, CPU, budget_bytes=10**9), ResidentStore)


def resident_kb(folder):
    """Memory of this process that files of a folder take, by the kernel's own account."""
    total, own = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-", line):
            own = str(folder) in line
        elif own and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_a_streamed_store_lets_go_of_what_it_has_read(tmp_path, monkeypatch):
    """A training reads its whole store once an epoch: its memory must not grow with it."""
    small_store(tmp_path / "graphs", 200)
    store = join_stores(GraphStore.open(tmp_path / "graphs"), GraphStore.open(tmp_path / "graphs"))
    stored = sum(array.nbytes for array in store.arrays.values()) / 1024
    streamed = StreamedStore(store, CPU)
    streamed.batch(torch.arange(400))
    assert resident_kb(tmp_path) > stored / 2  # not let go of yet
    wanted = [streamed.batch(torch.tensor([row])) for row in (0, 399)]
    monkeypatch.setattr("foldwise.graphs.sources.RELEASE_BYTES", 0)
    for row, before in zip((0, 399), wanted, strict=True):
        again = streamed.batch(torch.tensor([row]))
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(before, again, strict=True))
    assert resident_kb(tmp_path) < 0.05 * stored


def test_indices_stay_inside_their_crystal(store):
    batch = ResidentStore(store, CPU).batch(torch.arange(24))
    owner = batch.crystal_of_atom
    assert torch.equal(owner[batch.edge_first], owner[batch.edge_second])
    short = batch.short_edges
    centre = owner[batch.angle_centre]
    for edge in (batch.angle_left, batch.angle_right):
        ends = torch.stack([batch.edge_first[short[edge]], batch.edge_second[short[edge]]])
        assert (ends == batch.angle_centre).any(dim=0).all()
        assert torch.equal(owner[ends[0]], centre)
    assert torch.bincount(owner).tolist() == batch.n_atoms.int().tolist()
    assert batch.n_edges.sum() == len(batch.edge_length)
    assert batch.n_angles.sum() == len(batch.angle_theta)


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=40), budget=st.integers(1, 120))
def test_parts_cover_the_batch_within_the_budget(sizes, budget):
    parts = cut_by_size(np.array(sizes), budget)
    assert [row for part in parts for row in range(len(sizes))[part]] == list(range(len(sizes)))
    for part in parts:
        assert len(sizes[part]) == 1 or sum(sizes[part]) <= budget
