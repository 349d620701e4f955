"""Chained arrays read as the joined array would, and two stores as one without a copy."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_files import small_store
from foldwise.graphs.arrays import ChainedArray
from foldwise.graphs.sources import open_batches
from foldwise.graphs.store import join_stores


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.integers(-30, 30),
    st.integers(-30, 30),
    st.lists(st.integers(0, 10**6), max_size=8),
)
def test_every_range_and_every_choice_is_that_of_the_joined_array(lengths, start, stop, rows):
    ends = np.cumsum([0, *lengths])
    whole = np.arange(ends[-1] * 2, dtype=np.int32).reshape(-1, 2)
    parts = [whole[a:b] for a, b in pairwise(ends)]
    chain = ChainedArray([ChainedArray(parts[:1]), *parts[1:]])
    assert (len(chain), chain.nbytes, chain.dtype) == (len(whole), whole.nbytes, whole.dtype)
    np.testing.assert_array_equal(np.asarray(chain), whole)
    np.testing.assert_array_equal(chain[start:stop], whole[start:stop])
    if len(whole):
        chosen = np.array(rows, dtype=np.int64) % len(whole)
        np.testing.assert_array_equal(chain[chosen], whole[chosen])


def test_two_stores_give_the_batches_of_either_and_stay_on_disk(tmp_path):
    first, second = (small_store(tmp_path / name, count) for name, count in (("a", 5), ("b", 7)))
    joined = join_stores(first, second)
    assert joined.ids == [*first.ids, *second.ids]
    assert all(isinstance(array, ChainedArray) for array in joined.arrays.values())
    device = torch.device("cpu")
    for store, offset in ((first, 0), (second, 5)):
        rows = torch.arange(len(store)).flip(0)
        ours = open_batches(joined, device).skin(rows + offset)
        theirs = open_batches(store, device).skin(rows)
        for mine, other in zip((*ours.graph, *ours[1:]), (*theirs.graph, *theirs[1:]), strict=True):
            assert torch.equal(mine, other)
    across = open_batches(joined, device).batch(torch.tensor([4, 5, 0]))
    assert len(across.n_atoms) == 3
