import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foldwise.graphs.sources import ResidentStore
from foldwise.network.checkpoint import new_network
from foldwise.network.output import BATCH_BUDGET, batches_by_size, network_output, predict
from foldwise.network.transform import compositions, fit_transform
from graph_files import salt_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return salt_store(tmp_path_factory.mktemp("predict"), [f"c{row}" for row in range(9)])


@pytest.fixture(scope="module")
def resident(store):
    return ResidentStore(store, torch.device("cpu"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return new_network("chgnet_lite", "scratch")


@given(arrays(np.int64, st.integers(1, 300), elements=st.integers(0, 19)), st.integers(1, 60))
def test_batches_hold_every_row_once_by_size_and_within_the_budget(rows, budget):
    sizes = np.arange(20) ** 2 % 7
    batches = list(batches_by_size(rows, sizes, budget))
    positions = np.concatenate(batches)
    assert sorted(positions) == list(range(len(rows)))
    assert (np.diff(sizes[rows[positions]]) >= 0).all()
    for batch in batches:
        assert len(batch) == 1 or sizes[rows[batch]].sum() <= budget


def test_answers_follow_the_rows_asked_for(network, resident):
    alone = [network_output(network, resident, np.array([row]))[0] for row in range(9)]
    assert len(set(alone)) > 5
    rows = np.array([4, 0, 8, 4, 2])
    answers = network_output(network, resident, rows)
    np.testing.assert_allclose(answers, np.array(alone)[rows], atol=2e-6)
    assert answers.dtype == np.float64


def test_more_rows_than_a_batch(network, resident):
    rows = np.arange(2 * BATCH_BUDGET["cpu"] // resident.sizes.min()) % 9
    answers = network_output(network, resident, rows)
    np.testing.assert_allclose(
        answers, network_output(network, resident, rows[:9])[rows], atol=2e-6
    )


@pytest.mark.parametrize("name", ["element_reference", "standardize"])
def test_predictions_are_in_target_units(network, resident, store, name):
    rows, composition = np.array([3, 1, 7]), compositions(store)
    targets = np.array([2.0, -1.0, 0.5])
    output = network_output(network, resident, rows)
    transform = fit_transform(name, composition[rows], targets, output)
    expected = composition[rows] @ transform.element + transform.shift + transform.scale * output
    found = predict(network, transform, resident, composition, rows)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert transform.train_std == pytest.approx(targets.std())
