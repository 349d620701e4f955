"""The training loop: it learns, stops early, names a batch that diverges."""

import io

import numpy as np
import pytest
import torch

from crystal_files import small_store
from foldwise.batch import open_batches
from foldwise.checkpoint import new_network
from foldwise.errors import FoldwiseError
from foldwise.fit import Problem, fit
from foldwise.progress import ProgressLog
from foldwise.recipe import Recipe
from foldwise.reference import compositions, fit_transform
from foldwise.samples import Samples


def lite_problem(store, epochs, **options):
    """Train on two thirds of a store; the target is the mean atomic number over ten."""
    composition = compositions(store)
    targets = composition @ np.arange(1, 95) / 10
    rows, held_out = np.arange(8, len(store)), np.arange(8)
    recipe = Recipe(
        **{
            "model": "chgnet_lite", "init": "scratch", "epochs": epochs, "batch_size": 8,
            "lr": 5e-3, "loss": "mse", "patience": epochs, **options,
        }
    )  # fmt: skip
    absent = np.full(len(rows), np.nan)
    return Problem(
        store=open_batches(store, torch.device("cpu")),
        ids=store.ids,
        composition=composition,
        samples=Samples(rows, targets[rows], absent, np.ones(len(rows))),
        validation_rows=held_out,
        validation_targets=targets[held_out],
        transform=fit_transform("standardize", composition[rows], targets[rows], absent),
        recipe=recipe,
        seed=0,
    )


def run(problem, folder):
    torch.manual_seed(0)
    stream = io.StringIO()
    network = new_network("chgnet_lite", "scratch")
    return fit(network, problem, folder / "state", "work", ProgressLog(stream, 100)), stream


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("fit") / "graphs", 48)


def test_training_learns(store, tmp_path):
    problem = lite_problem(store, epochs=12)
    result, stream = run(problem, tmp_path)
    history = result.progress.history
    assert (
        history[-1]["train_mae"]
        < 0.5 * np.abs(problem.samples.hard - problem.samples.hard.mean()).mean()
    )
    best = min(history, key=lambda epoch: epoch["val_mae"])
    assert result.progress.best_epoch == best["epoch"]
    assert "step 1/100  epoch 1  loss" in stream.getvalue().splitlines()[0]


def test_training_stops_early(store, tmp_path):
    result, _ = run(lite_problem(store, epochs=40, lr=0.2, patience=2), tmp_path)
    assert result.early_stopped
    assert result.progress.epoch == result.progress.best_epoch + 2


def test_a_diverging_batch_is_named(store, tmp_path):
    problem = lite_problem(store, epochs=2)
    problem.samples.hard[3] = 1e30
    with pytest.raises(FoldwiseError) as caught:
        run(problem, tmp_path)
    line = str(caught.value)
    assert line.startswith("training: loss inf and gradient norm")
    assert store.ids[problem.samples.rows[3]] in line
    assert line.endswith("Lower lr, or look at these crystals' targets.")
