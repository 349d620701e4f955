import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.copies import MAX_DISPLACEMENT, Perturbation, perturb, write_copies
from foldwise.errors import FoldwiseError
from foldwise.neighbors import CrystalArrays
from foldwise.structures import read_structures
from graph_files import lonely_atom, salt, structure_file

HOW = Perturbation(copies=3, displacement=0.03, strain=0.01)


def moves(crystal, copy):
    """Cartesian displacements within the strained cell, Å."""
    return (copy.frac - crystal.frac) @ copy.lattice


def test_a_copy_depends_on_its_name_alone():
    crystal = salt()
    first = perturb(crystal, "mp-1", 0, HOW)
    again = perturb(crystal, "mp-1", 0, Perturbation(9, 0.03, 0.01))
    np.testing.assert_array_equal(first.frac, again.frac)
    np.testing.assert_array_equal(first.lattice, again.lattice)
    for other in (perturb(crystal, "mp-1", 1, HOW), perturb(crystal, "mp-2", 0, HOW)):
        assert not np.array_equal(first.frac, other.frac)
        assert not np.array_equal(first.lattice, other.lattice)


def test_no_strength_no_change():
    copy = perturb(salt(), "a", 0, Perturbation(1, 0.0, 0.0))
    np.testing.assert_allclose(copy.frac, salt().frac, atol=1e-15)
    np.testing.assert_allclose(copy.lattice, salt().lattice, atol=1e-15)


@given(displacement=st.floats(0, 1), strain=st.floats(0, 0.05), number=st.integers(0, 99))
def test_no_atom_moves_farther_than_the_limit(displacement, strain, number):
    crystal = salt()
    copy = perturb(crystal, "a", number, Perturbation(100, displacement, strain))
    assert np.linalg.norm(moves(crystal, copy), axis=1).max() <= MAX_DISPLACEMENT * (1 + 1e-9)
    deformation = np.linalg.solve(crystal.lattice, copy.lattice) - np.eye(3)
    np.testing.assert_allclose(deformation, deformation.T, atol=1e-12)


def test_strengths_are_standard_deviations():
    n = 20_000
    crystal = CrystalArrays(np.full(n, 3, dtype=np.int32), np.zeros((n, 3)), np.eye(3) * 10)
    shaken = moves(crystal, perturb(crystal, "a", 0, Perturbation(1, 0.02, 0.0)))
    assert shaken.std() == pytest.approx(0.02, rel=0.02)
    strains = [
        perturb(salt(), "a", number, HOW).lattice / salt().lattice[0, 0] - np.eye(3)
        for number in range(2000)
    ]
    assert np.std(strains, axis=0).diagonal() == pytest.approx([0.01] * 3, rel=0.1)


def test_copies_are_named_and_ordered(tmp_path):
    crystals = {"b": salt(), "a": lonely_atom()}
    path = structure_file(tmp_path / "s.npz", crystals)
    write_copies(path, HOW, tmp_path / "copies.npz")
    ids, copies = read_structures(tmp_path / "copies.npz")
    assert ids == ["b#0", "b#1", "b#2", "a#0", "a#1", "a#2"]
    for name, copy in zip(ids, copies, strict=True):
        crystal_id, number = name.split("#")
        expected = perturb(crystals[crystal_id], crystal_id, int(number), HOW)
        np.testing.assert_array_equal(copy.frac, expected.frac)
        np.testing.assert_array_equal(copy.numbers, expected.numbers)
    first = (tmp_path / "copies.npz").read_bytes()
    write_copies(path, HOW, tmp_path / "copies.npz")
    assert (tmp_path / "copies.npz").read_bytes() == first


def test_copies_of_a_missing_file(tmp_path):
    with pytest.raises(FoldwiseError) as caught:
        write_copies(tmp_path / "none.npz", HOW, tmp_path / "copies.npz")
    assert str(caught.value).startswith(f"{tmp_path}/none.npz: the structure file is missing")
    assert not (tmp_path / "copies.npz").exists()
