import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from foldwise.submissions.stacking import simplex_weights


def primal_mae(members, target):
    """The same problem as a plain linear program with two constraints per row."""
    rows, count = members.shape
    cost = np.concatenate([np.zeros(count), np.full(rows, 1 / rows)])
    eye = np.eye(rows)
    bounds = np.vstack([np.hstack([members, -eye]), np.hstack([-members, -eye])])
    ones = np.concatenate([np.ones(count), np.zeros(rows)])[None]
    solved = linprog(
        cost, A_ub=bounds, b_ub=np.concatenate([target, -target]), A_eq=ones, b_eq=[1.0]
    )
    return solved.fun


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(8, 60))
@settings(max_examples=25, deadline=None)
def test_weights_are_on_the_simplex_and_optimal(seed, count, rows):
    generator = np.random.default_rng(seed)
    target = generator.normal(size=rows)
    members = target[:, None] + generator.laplace(0, 0.3, (rows, count)) * (1 + np.arange(count))
    weights = simplex_weights(members, target)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    mae = np.abs(members @ weights - target).mean()
    assert mae == pytest.approx(primal_mae(members, target), abs=1e-9)


def test_a_perfect_member_gets_all_the_weight():
    target = np.linspace(-1, 1, 30)
    members = np.stack([target + 0.3, target, target * 2], axis=1)
    np.testing.assert_allclose(simplex_weights(members, target), [0, 1, 0], atol=1e-9)


def test_opposite_errors_cancel():
    generator = np.random.default_rng(0)
    target, error = generator.normal(size=200), generator.normal(size=200)
    members = np.stack([target + error, target - 3 * error], axis=1)
    np.testing.assert_allclose(simplex_weights(members, target), [0.75, 0.25], atol=1e-9)


def test_all_members_without_error():
    target = np.zeros(5)
    assert simplex_weights(np.zeros((5, 3)), target).sum() == pytest.approx(1.0)
