"""What is fitted where a recipe augments: views, shifted labels, consistency."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from crystal_files import small_store
from foldwise.common.progress import ProgressLog
from foldwise.graphs.sources import ResidentStore
from foldwise.network.checkpoint import new_network
from foldwise.study.recipe import parse_recipe
from foldwise.training.augmentation import EnergyShift, Targets, consistency_loss, make_augmentation
from foldwise.training.fit import Training, fit
from foldwise.training.optimisation import mixed_loss
from training_problems import lite_problem

CPU = torch.device("cpu")
VIEWS = {"displacement": 0.03, "strain": 0.01}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("augmentation") / "graphs", 24)


@pytest.fixture(scope="module")
def source(store):
    return ResidentStore(store, CPU)


def made(store, source, **options):
    recipe = parse_recipe({"augment": VIEWS, **options}, where="recipe")
    rows = np.arange(len(store))
    return recipe, make_augmentation(recipe, source, store.ids, rows=rows, scale=0.5, seed=1)


def test_consistency_is_the_huber_difference_of_two_outputs():
    first, second = torch.tensor([0.0, 1.0, 5.0]), torch.tensor([0.05, 1.0, 4.0])
    expected = (0.5 * 0.05**2 + 0 + 0.1 * (1 - 0.05)) / 3
    assert float(consistency_loss(first, second, 0.1)) == pytest.approx(expected)
    assert float(consistency_loss(first, first, 0.1)) == 0


def test_the_loss_is_that_of_two_views_and_their_difference(store, source):
    torch.manual_seed(0)
    network, rows = new_network("chgnet_lite", "scratch"), torch.arange(6)
    hard = torch.linspace(-1, 1, 6)
    targets = Targets(hard, torch.full((6,), torch.nan), torch.ones(6))
    recipe, augmentation = made(store, source, consistency=0.7)
    outputs = [network(augmentation.views.at(3, number).batch(rows)) for number in (0, 1)]
    single = [mixed_loss(output, *targets, recipe) for output in outputs]
    expected = sum(single) / 2 + 0.7 * consistency_loss(*outputs, recipe.huber_delta)
    loss = augmentation.loss(network, rows, targets, epoch=3, recipe=recipe)
    torch.testing.assert_close(loss, expected)
    plain = replace(recipe, consistency=0.0)
    torch.testing.assert_close(
        augmentation.loss(network, rows, targets, epoch=3, recipe=plain), single[0]
    )


def test_shifted_labels_follow_the_pretrained_network(store, source):
    """A network that is the pretrained one has the same loss on every view as on the crystal."""
    network, rows = new_network("chgnet", "pretrained"), torch.arange(6)
    view = made(store, source)[1].views.at(1, 0).batch(rows)
    with torch.no_grad():
        change = network(view) - network(source.batch(rows))
    shift = EnergyShift(source, rows.numpy(), scale=0.5)
    torch.testing.assert_close(shift.of(view, rows), change / 0.5, rtol=0, atol=2e-6)
    assert change.mean() > 1e-4


def trained(store, folder, epochs=3, **options):
    problem = lite_problem(store, epochs, augment=None, **options)
    recipe = replace(problem.recipe, augment=parse_recipe({"augment": VIEWS}, "").augment)
    augmentation = make_augmentation(
        recipe, problem.store, store.ids, rows=problem.samples.rows, scale=1.0, seed=0
    )
    problem = replace(problem, recipe=recipe, augmentation=augmentation)
    torch.manual_seed(0)
    network = new_network("chgnet_lite", "scratch")
    with io.StringIO() as stream:
        log = ProgressLog(stream, 9)
        return fit(Training(network, problem, folder / "state", "work", log))


def weights(result):
    return torch.cat([p.detach().flatten() for p in result.network.parameters()])


def test_an_interrupted_training_on_views_ends_with_the_same_weights(store, tmp_path):
    whole = trained(store, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def killed_in_the_second_epoch(step):
        if step > 3:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        original = ProgressLog.step
        patch.setattr(
            ProgressLog,
            "step",
            lambda self, step, text: (killed_in_the_second_epoch(step), original(self, step, text)),
        )
        with pytest.raises(KilledError):
            trained(store, tmp_path / "killed")
    resumed = trained(store, tmp_path / "killed")
    assert resumed.resumed_from_epoch == 1
    assert torch.equal(weights(resumed), weights(whole))
    assert not torch.equal(weights(whole), weights(trained(store, tmp_path / "one", epochs=1)))
