import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.graphs.arrays import GrowingArray


@given(parts=st.lists(st.integers(0, 20), max_size=6), row=st.sampled_from([(), (2,), (3, 3)]))
def test_parts_become_the_file_that_numpy_would_write(tmp_path_factory, parts, row):
    folder = tmp_path_factory.mktemp("growing")
    arrays = [np.arange(n * int(np.prod(row)), dtype=np.int32).reshape(n, *row) for n in parts]
    whole = np.concatenate([np.empty((0, *row), np.int32), *arrays])
    growing = GrowingArray(folder / "a.npy", whole.dtype, row)
    for array in arrays:
        growing.append(array)
    growing.close()
    np.save(folder / "b.npy", whole)
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()
    np.testing.assert_array_equal(np.load(folder / "a.npy"), whole)


@pytest.mark.parametrize("rows", [np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float64)])
def test_other_rows_are_refused(tmp_path, rows):
    growing = GrowingArray(tmp_path / "a.npy", np.dtype(np.float32), (2,))
    with pytest.raises(ValueError, match="not float32"):
        growing.append(rows)
    growing.close()
