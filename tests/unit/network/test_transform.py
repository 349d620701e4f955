import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from foldwise.network.transform import (
    N_ELEMENTS,
    RIDGE,
    compositions,
    fit_transform,
)
from graph_files import salt_store


@st.composite
def training_rows(draw):
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    counts = np.zeros((draw(st.integers(1, 40)), N_ELEMENTS))
    for row in counts:
        row[generator.choice(N_ELEMENTS, draw(st.integers(1, 3)))] = generator.integers(1, 4)
    composition = counts / counts.sum(axis=1, keepdims=True)
    return composition, generator.normal(size=len(counts)), generator.normal(size=len(counts))


@given(training_rows())
def test_the_element_reference_is_ridge_regression_on_the_residual(rows):
    composition, targets, network = rows
    oracle = Ridge(alpha=RIDGE, fit_intercept=False).fit(composition, targets - network)
    transform = fit_transform("element_reference", composition, targets, network)
    np.testing.assert_allclose(transform.element, oracle.coef_, rtol=1e-6, atol=1e-8)
    offset = transform.offset(composition)
    np.testing.assert_allclose(offset, oracle.predict(composition), atol=1e-8)
    assert (transform.shift, transform.scale) == (0.0, 1.0)
    assert transform.train_mean == pytest.approx(targets.mean())
    assert transform.train_std == pytest.approx(targets.std())


@given(training_rows())
def test_the_element_reference_alone_is_ridge_regression(rows):
    composition, targets, _ = rows
    half = len(targets) // 2 or 1
    oracle = Ridge(alpha=RIDGE, fit_intercept=False).fit(composition[:half], targets[:half])
    nothing = np.zeros(half)
    reference = fit_transform("element_reference", composition[:half], targets[:half], nothing)
    found = reference.offset(composition[half:])
    if len(found):
        np.testing.assert_allclose(found, oracle.predict(composition[half:]), atol=1e-8)


@given(training_rows())
def test_standardised_targets(rows):
    composition, targets, network = rows
    transform = fit_transform("standardize", composition, targets, network)
    assert transform.shift == targets.mean()
    assert transform.scale == (targets.std() if targets.std() > 0 else 1.0)
    assert (transform.offset(composition) == transform.shift).all()


def test_a_single_row_of_an_element_is_reproduced():
    composition = np.eye(N_ELEMENTS)[[0, 25]]
    transform = fit_transform("element_reference", composition, np.array([-3.0, 5.0]), np.zeros(2))
    np.testing.assert_allclose(transform.offset(composition), [-3.0, 5.0], rtol=2e-3)


def test_compositions_are_atomic_fractions(tmp_path):
    fractions = compositions(salt_store(tmp_path, ["a", "b"]))
    expected = np.zeros((2, N_ELEMENTS))
    expected[0, [2, 8]] = expected[1, [10, 16]] = 0.5
    np.testing.assert_array_equal(fractions, expected)
