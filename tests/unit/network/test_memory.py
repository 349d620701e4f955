"""Out of memory halves the parts and goes on with the same result."""

import io

import numpy as np
import pytest
import torch

from crystal_files import small_store
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import open_batches
from foldwise.network.checkpoint import new_network
from foldwise.network.memory import PartBudget
from foldwise.network.output import network_output
from foldwise.training.fit import Training, fit
from training_problems import lite_problem


def test_parts_are_halved_until_they_fit():
    lines = []
    budget = PartBudget(lines.append, start=100)

    def work(parts):
        if max(part.stop - part.start for part in parts) > 2:
            raise torch.OutOfMemoryError
        return len(parts)

    assert budget.run(np.full(8, 10), work) == 4
    assert budget.budget == 20
    assert len(lines) == 2
    assert "out of memory: batches are cut into parts of 40 edges plus angles" in lines[0]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: out of memory"), torch.OutOfMemoryError("CUDA out of memory.")],
)
def test_an_error_that_wraps_the_lack_of_memory_halves_too(error):
    def work(parts):
        if len(parts) == 1:
            raise error
        return len(parts)

    assert PartBudget(lambda _: None, start=100).run(np.full(8, 10), work) == 2


def test_a_cpu_that_cannot_give_the_memory_halves_too():
    def work(parts):
        return torch.empty(10**15 if len(parts) == 1 else 1).numel() + len(parts)

    assert PartBudget(lambda _: None, start=100).run(np.full(8, 10), work) == 3


def test_another_error_is_no_lack_of_memory():
    def work(_parts):
        raise RuntimeError("an index is out of bounds")

    with pytest.raises(RuntimeError, match="out of bounds"):
        PartBudget(print, start=100).run(np.full(8, 10), work)


def test_predictions_go_on_in_halves(tmp_path, monkeypatch, capsys):
    store = small_store(tmp_path / "graphs", 24)
    source = open_batches(store, torch.device("cpu"))
    network, rows = new_network("chgnet_lite", "scratch"), np.arange(24)
    whole = network_output(network, source, rows)
    plain, limit = source.batch, source.sizes.sum() // 4

    def batch(rows):
        if source.sizes[rows.numpy()].sum() > limit:
            raise torch.OutOfMemoryError
        return plain(rows)

    monkeypatch.setattr(source, "batch", batch)
    np.testing.assert_allclose(network_output(network, source, rows), whole, rtol=1e-4, atol=1e-5)
    assert "out of memory: batches are cut into parts" in capsys.readouterr().err


def test_a_crystal_that_does_not_fit_alone_stops():
    def work(_parts):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        PartBudget(print, start=1).run(np.array([5, 5]), work)


def limited(store):
    """`store.batch` of a device whose memory holds a quarter of the store in training."""
    plain, limit = store.batch, store.sizes.sum() // 4

    def batch(rows):
        if store.sizes[rows.numpy()].sum() > limit and torch.is_grad_enabled():
            raise torch.OutOfMemoryError
        return plain(rows)

    return batch


def test_a_training_goes_on_with_the_same_result(tmp_path, monkeypatch):
    """A device that holds half a batch gives the weights of one that holds it whole."""
    store = small_store(tmp_path / "graphs", 24)
    problem = lite_problem(store, epochs=2)
    weights = {}
    for name in ("whole", "halved"):
        if name == "halved":
            monkeypatch.setattr(problem.store, "batch", limited(problem.store))
        torch.manual_seed(0)
        network = new_network("chgnet_lite", "scratch")
        with io.StringIO() as stream:
            fit(Training(network, problem, tmp_path / name, "work", ProgressLog(stream, 6)))
            assert ("out of memory" in stream.getvalue()) == (name == "halved")
        weights[name] = torch.cat([p.detach().flatten() for p in network.parameters()])
    difference = (weights["whole"] - weights["halved"]).norm() / weights["whole"].norm()
    assert 0 < difference < 1e-4
