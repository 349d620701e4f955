import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from foldwise.common.errors import FoldwiseError
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


ATOMS = np.array([1, 2, 5, 8, 3, 1])


def rows_of(targets, seed=0):
    generator = np.random.default_rng(seed)
    composition = generator.dirichlet(np.ones(N_ELEMENTS), len(targets))
    return composition, np.asarray(targets, dtype=np.float64), generator.normal(size=len(targets))


@pytest.mark.parametrize("extensive", [False, True])
@pytest.mark.parametrize("name", ["element_reference", "standardize", "log"])
def test_predictions_undo_what_the_loss_sees(name, extensive):
    composition, targets, network = rows_of([0.3, 8.0, 2.5, 70.0, 1.5, 0.01])
    transform = fit_transform(name, composition, targets, network, ATOMS if extensive else None)
    inside = transform.to_network(targets, composition, ATOMS)
    np.testing.assert_allclose(transform.to_target(inside, composition, ATOMS), targets)
    if name != "element_reference":
        assert inside.mean() == pytest.approx(0, abs=1e-12)
        assert inside.std() == pytest.approx(1)


def test_an_extensive_target_grows_with_the_cell():
    composition, targets, network = rows_of([1.0, 2.0, 5.0, 8.0, 3.0, 1.0])
    transform = fit_transform("standardize", composition, targets, network, ATOMS)
    answers = transform.to_target(np.zeros(6), composition, ATOMS)
    np.testing.assert_allclose(answers, transform.shift * ATOMS)
    np.testing.assert_allclose(
        transform.to_target(np.zeros(6), composition, 2 * ATOMS), 2 * answers
    )


def test_a_class_is_answered_by_its_probability():
    composition, targets, network = rows_of([0, 1, 1, 0, 1, 0])
    transform = fit_transform("logistic", composition, targets, network)
    np.testing.assert_array_equal(transform.to_network(targets, composition, ATOMS), targets)
    output = np.array([-800.0, -1.0, 0.0, 1.0, 2.0, 800.0])
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-output))
    np.testing.assert_allclose(transform.to_target(output, composition, ATOMS), expected)


generator = np.random.default_rng(1)
GAPS = np.where(generator.random(200) < 0.4, 0.0, generator.gamma(2.0, 1.0, 200))


@pytest.mark.parametrize(
    ("targets", "name", "low", "words"),
    [
        (generator.integers(0, 2, 200), "logistic", None, "0 or 1"),
        (10 ** generator.normal(2, 0.5, 200), "log", None, "more than a factor of 10"),
        (GAPS, "standardize", 0.0, f"{(GAPS == 0).mean():.0%} are exactly zero"),
        (generator.normal(0, 1, 200), "standardize", None, "both signs"),
        (generator.normal(300, 5, 200), "standardize", 0.0, "no training target is negative"),
    ],
)
def test_training_rows_choose_the_transform(targets, name, low, words):
    composition, targets, network = rows_of(targets)
    transform = fit_transform("auto", composition, targets, network)
    assert (transform.name, transform.low) == (name, low)
    assert words in transform.reason
    named = fit_transform(name, composition, targets, network)
    assert (named.shift, named.scale, named.reason) == (transform.shift, transform.scale, "")


def test_an_energy_that_the_network_knows_keeps_its_head():
    composition, noise, network = rows_of(np.random.default_rng(2).normal(0, 0.1, 400))
    targets = composition @ np.linspace(-3, 3, N_ELEMENTS) + network + noise
    transform = fit_transform("auto", composition, targets, network)
    assert transform.name == "element_reference"
    assert "energy" in transform.reason
    # The oracle of the left-out rows: a ridge fitted again and again without one row.
    left = [
        targets[k] - network[k]
        - Ridge(alpha=RIDGE, fit_intercept=False)
        .fit(np.delete(composition, k, 0), np.delete(targets - network, k))
        .predict(composition[[k]])[0]
        for k in range(0, 400, 40)
    ]  # fmt: skip
    gram = composition.T @ composition + RIDGE * np.eye(N_ELEMENTS)
    hat = composition @ np.linalg.solve(gram, composition.T)
    closed = (targets - network - hat @ (targets - network)) / (1 - np.diag(hat))
    np.testing.assert_allclose(closed[::40], left, rtol=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30))
def test_no_answer_leaves_the_range_of_a_quantity_without_negative_rows(targets):
    composition, targets, network = rows_of(targets)
    transform = fit_transform("auto", composition, targets, network)
    output = np.linspace(-5, 5, len(targets))
    answers = transform.to_target(output, composition, np.ones(len(targets), dtype=np.int64))
    assert transform.name == "element_reference" or (answers >= 0).all()


@pytest.mark.parametrize(
    ("name", "targets", "atoms", "line"),
    [
        ("log", [1.0, 0.0, -2.0], None, "transform: 2 training target(s) are not positive"),
        ("logistic", [0.0, 0.5, 1.0], None, "transform: a class is 0 or 1"),
        ("logistic", [0.0, 1.0, 1.0], np.ones(3), "transform: a class is 0 or 1"),
    ],
)
def test_targets_that_a_transform_cannot_take(name, targets, atoms, line):
    composition, targets, network = rows_of(targets)
    with pytest.raises(FoldwiseError) as caught:
        fit_transform(name, composition, targets, network, atoms)
    assert str(caught.value).startswith(line)
