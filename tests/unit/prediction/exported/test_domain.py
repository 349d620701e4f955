"""Which crystals are called unlike the training data."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from foldwise.prediction.exported.domain import (
    Domain,
    far_distance,
    fractions_of,
    nearest_rows,
)

KNOWN = ("NaCl", "MgO", "SiO2", "Ca(NO3)2", "Fe")


def warnings_of(formula, atoms=4, far=0.3):
    domain = Domain(KNOWN, 2, 8, far)
    return domain.warnings(np.array([atoms]), fractions_of([formula]))[0]


def test_fractions_are_those_of_the_formula():
    row = fractions_of(["Ca(NO3)2"])[0]
    assert {number + 1: row[number] for number in np.flatnonzero(row)} == pytest.approx(
        {7: 2 / 9, 8: 6 / 9, 20: 1 / 9}
    )


def test_nearest_rows_are_those_of_scipy():
    generator = np.random.default_rng(0)
    known, new = (generator.dirichlet(np.full(94, 0.05), size) for size in (300, 1500))
    nearest, distance = nearest_rows(new, known)
    expected = cdist(new, known)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))
    np.testing.assert_allclose(distance, expected.min(axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "atoms", "expected"),
    [
        ("NaCl", 4, ""),
        ("MgO", 9, "9 atoms per cell, training crystals have 2 to 8"),
        ("MgO", 1, "1 atoms per cell"),
        ("KCl", 4, "no training crystal has K"),
        ("Na9Cl", 4, "composition far from training (distance 0.57 to NaCl, usual is up to 0.30)"),
    ],
)
def test_warnings(formula, atoms, expected):
    found = warnings_of(formula, atoms)
    assert (found == "") if not expected else (expected in found)


def test_several_reasons_are_one_warning():
    found = warnings_of("Xe", atoms=20)
    assert found.count(";") == 2
    assert found.startswith("no training crystal has Xe; 20 atoms")


def test_far_is_beyond_nearly_all_held_out_rows():
    assert far_distance(["NaCl"] * 99 + ["Xe"], ["NaCl", "MgO"]) < 0.1
    assert far_distance(["Xe"], ["Fe"]) == pytest.approx(2**0.5)
