import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core.periodic_table import Element

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.copies import (
    CANDIDATES,
    MAX_DISPLACEMENT,
    Perturbation,
    perturb,
    write_copies,
)
from foldwise.crystals.files import read_structures
from foldwise.crystals.names import copied_crystal, copy_id
from foldwise.crystals.neighbors import CrystalArrays
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
    write_copies(path, ["a", "b"], HOW, tmp_path / "copies.npz")
    ids, copies = read_structures(tmp_path / "copies.npz")
    assert ids == ["b#0", "b#1", "b#2", "a#0", "a#1", "a#2"]
    for name, copy in zip(ids, copies, strict=True):
        crystal_id, _, number = name.partition("#")
        assert (copied_crystal(name), name) == (crystal_id, copy_id(crystal_id, int(number)))
        expected = perturb(crystals[crystal_id], crystal_id, int(number), HOW)
        np.testing.assert_array_equal(copy.frac, expected.frac)
        np.testing.assert_array_equal(copy.numbers, expected.numbers)
    first = (tmp_path / "copies.npz").read_bytes()
    write_copies(path, ["a", "b"], HOW, tmp_path / "copies.npz")
    assert (tmp_path / "copies.npz").read_bytes() == first


def test_copies_of_a_missing_file(tmp_path):
    with pytest.raises(FoldwiseError) as caught:
        write_copies(tmp_path / "none.npz", ["a"], HOW, tmp_path / "copies.npz")
    assert str(caught.value).startswith(f"{tmp_path}/none.npz: the structure file is missing")
    assert not (tmp_path / "copies.npz").exists()


SWAPPED = Perturbation(copies=3, displacement=0.0, strain=0.0, substitution=1.0)
ALKALI_AND_HALIDES = (3, 9, 11, 17, 19, 35)


def test_substituted_copies_keep_the_lattice_type_and_take_the_new_volume():
    crystal = salt()  # NaCl
    copy = perturb(crystal, "mp-1", 0, SWAPPED, ALKALI_AND_HALIDES)
    np.testing.assert_allclose(copy.frac, crystal.frac, atol=1e-15)
    assert not set(copy.numbers) & set(crystal.numbers)
    assert set(copy.numbers) <= set(ALKALI_AND_HALIDES)
    old, new = (
        sum(Element.from_Z(int(z)).molar_volume for z in c.numbers) for c in (crystal, copy)
    )
    ratio = np.linalg.det(copy.lattice) / np.linalg.det(crystal.lattice)
    assert ratio == pytest.approx(new / old)
    np.testing.assert_allclose(copy.lattice / ratio ** (1 / 3), crystal.lattice, atol=1e-12)


def test_an_element_is_replaced_by_one_near_it_on_pettifors_scale():
    crystal = salt()
    metal = int(crystal.numbers[crystal.numbers == 11][0])
    elements = range(1, 84)
    near = sorted(
        set(elements) - {11, 17},
        key=lambda z: abs(Element.from_Z(z).mendeleev_no - Element.from_Z(metal).mendeleev_no),
    )[:CANDIDATES]
    copies = [perturb(crystal, "a", number, SWAPPED, elements) for number in range(100)]
    seen = {int(copy.numbers[crystal.numbers == 11][0]) for copy in copies}
    assert seen <= set(near)
    assert len(seen) > 3


@given(probability=st.floats(0, 1), number=st.integers(0, 99))
def test_two_elements_never_become_one(probability, number):
    crystal = salt()
    how = Perturbation(100, 0.0, 0.0, probability)
    copy = perturb(crystal, "a", number, how, ALKALI_AND_HALIDES)
    assert len(set(copy.numbers)) == len(set(crystal.numbers))


def test_without_other_elements_a_crystal_keeps_its_own():
    copy = perturb(salt(), "a", 0, SWAPPED, (11, 17))
    np.testing.assert_array_equal(copy.numbers, salt().numbers)
    np.testing.assert_allclose(copy.lattice, salt().lattice, atol=1e-12)


def test_copies_take_elements_of_the_training_rows_alone(tmp_path):
    """A test row of other elements, most like those that are replaced, changes no copy."""
    train = {"b": salt(), "c": salt(3, 9), "a": lonely_atom()}
    written = []
    for name, others in (("own", {}), ("all", {"test": salt(19, 35), "test#0": salt(37, 53)})):
        path = structure_file(tmp_path / f"{name}.npz", {**others, **train})
        write_copies(path, list(train), SWAPPED, tmp_path / f"{name}_copies.npz")
        written.append((tmp_path / f"{name}_copies.npz").read_bytes())
    assert written[0] == written[1]
    ids, copies = read_structures(tmp_path / "all_copies.npz")
    assert {copied_crystal(name) for name in ids} == set(train)
    elements = {int(z) for crystal in train.values() for z in crystal.numbers}
    assert {int(z) for copy in copies for z in copy.numbers} <= elements


def test_a_fold_of_another_dataset_has_nothing_to_copy(tmp_path):
    path = structure_file(tmp_path / "s.npz", {"b": salt()})
    with pytest.raises(FoldwiseError) as caught:
        write_copies(path, ["a"], HOW, tmp_path / "copies.npz")
    assert str(caught.value) == (
        f"{path}: it holds none of the fold's training rows. "
        "Make structures and splits from the same dataset."
    )


def test_a_copy_of_a_copys_namesake_is_its_own(tmp_path):
    """Whatever stands before the last mark is the crystal's id."""
    assert copied_crystal("a") is None
    assert copied_crystal("a#1") == "a"
    assert copied_crystal("a#1#0") == "a#1"
