"""The training loop: it learns, stops early, names a batch that diverges."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from crystal_files import small_store
from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.network.checkpoint import new_network
from foldwise.network.output import predict
from foldwise.network.transform import fit_transform
from foldwise.study.passes import with_derived_epochs
from foldwise.study.recipe import Recipe, Teacher
from foldwise.study.study import Experiment
from foldwise.training.fit import Training, fit
from foldwise.training.samples import Samples
from foldwise.training.trainer import cross_entropy
from training_problems import lite_problem


def run(problem, folder):
    torch.manual_seed(0)
    stream = io.StringIO()
    network = new_network("chgnet_lite", "scratch")
    training = Training(network, problem, folder / "state", "work", ProgressLog(stream, 100))
    return fit(training), stream


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


def test_classes_are_fitted_by_cross_entropy(store, tmp_path):
    problem = lite_problem(store, epochs=12, loss="logistic")
    classes = np.asarray(problem.samples.hard > np.median(problem.samples.hard), dtype=float)
    above = problem.validation_targets > np.median(problem.samples.hard)
    rows = problem.samples.rows
    problem = replace(
        problem,
        samples=replace(problem.samples, hard=classes),
        validation_targets=above.astype(float),
        transform=fit_transform("auto", problem.composition[rows], classes, np.zeros(len(rows))),
    )
    result, _ = run(problem, tmp_path)
    history = result.progress.history
    # A constant answer of the share of ones has the entropy of the classes, about 0.69.
    assert history[-1]["train_loss"] < 0.5
    best = min(history, key=lambda epoch: epoch["val_cross_entropy"])
    assert result.progress.best_epoch == best["epoch"]
    answers = predict(result.network, problem.transform, problem.store, problem.composition, rows)
    assert roc_auc_score(classes, answers) > 0.9
    assert log_loss(classes, answers) == pytest.approx(cross_entropy(answers - classes))


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


def with_copies(problem, copies):
    """The problem of a student whose rows have this many copies, which have soft targets alone."""
    samples = problem.samples
    rows = np.tile(samples.rows, 1 + copies)
    hard = np.full(len(rows), np.nan)
    hard[: len(samples.rows)] = samples.hard
    soft = np.where(np.isnan(hard), np.tile(samples.hard, 1 + copies), np.nan)
    return replace(problem, samples=Samples(rows, hard, soft, np.ones(len(rows))))


def test_a_control_fits_as_many_crystals_as_its_student(store, tmp_path):
    """Counted where the optimiser steps, not reckoned."""
    experiments = {
        "e4": Experiment(
            name="e4", recipe="student", seeds=(0,), title="", purpose="", compare_with=()
        )
    }
    options = {
        "model": "chgnet_lite", "init": "scratch", "batch_size": 8, "patience": 2, "epochs": 2,
    }  # fmt: skip
    recipes = with_derived_epochs(
        {
            "student": Recipe(**options, teacher=Teacher(ensemble="e3", targets="augmented")),
            "control": Recipe(**options),
        },
        {"control": ("e4",)},
        experiments,
        copies=2,
    )
    problem = lite_problem(store, epochs=2)
    student = with_copies(replace(problem, recipe=recipes["student"]), copies=2)
    control = replace(problem, recipe=recipes["control"])
    passes = [
        run(each, tmp_path / name)[0].passes for name, each in (("s", student), ("c", control))
    ]
    assert passes == [2 * 3 * len(problem.samples.rows)] * 2
