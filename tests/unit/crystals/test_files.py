import numpy as np
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.files import read_structures
from graph_files import lonely_atom, salt, structure_file


def line_of(call, *arguments):
    with pytest.raises(FoldwiseError) as caught:
        call(*arguments)
    return str(caught.value)


def test_crystals_come_back_as_they_were(tmp_path):
    crystals = {"b": salt(), "a#0": lonely_atom(18)}
    ids, found = read_structures(structure_file(tmp_path / "s.npz", crystals))
    assert ids == ["b", "a#0"]
    for crystal, back in zip(crystals.values(), found, strict=True):
        for name in ("numbers", "frac", "lattice"):
            np.testing.assert_array_equal(getattr(back, name), getattr(crystal, name))


@pytest.mark.parametrize("keep", [0, 3, 40, 200, -30])
def test_truncated_structures(tmp_path, keep):
    path = structure_file(tmp_path / "s.npz", {"a": salt()})
    path.write_bytes(path.read_bytes()[:keep])
    line = line_of(read_structures, path)
    assert line.startswith(f"{path}: the structure file is missing, truncated or incomplete (")
    assert line.endswith("). Delete it and prepare the dataset again.")


def test_structures_without_an_array(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, ids=np.array(["a"]))
    assert line_of(read_structures, path) == (
        f"{path}: the structure file is missing, truncated or incomplete "
        "('lattice is not a file in the archive'). Delete it and prepare the dataset again."
    )
