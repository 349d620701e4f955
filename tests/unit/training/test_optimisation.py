import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

from foldwise.study.recipe import Recipe, Teacher
from foldwise.training.optimisation import MovingAverage, learning_rate, mixed_loss, row_loss

NAN = float("nan")


@given(total=st.integers(1, 300), warmup=st.floats(0, 1), lr=st.floats(1e-6, 1))
def test_the_rate_rises_and_falls_between_zero_and_its_peak(total, warmup, lr):
    recipe = Recipe(lr=lr, warmup=warmup)
    rates = [learning_rate(at, total, recipe) for at in range(total)]
    peak = max(1, round(warmup * total)) - 1
    assert rates[peak] == pytest.approx(lr)
    assert all(0 < rate <= lr * (1 + 1e-12) for rate in rates)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= lr * 1e-12).all()


def test_the_rate_is_a_line_and_a_cosine():
    recipe = Recipe(lr=2.0, warmup=0.1)
    assert learning_rate(4, 100, recipe) == pytest.approx(1.0)
    assert learning_rate(55, 100, recipe) == pytest.approx(1 + math.cos(math.pi * 45 / 90))


def test_losses_of_single_rows():
    prediction, target = torch.tensor([0.0, 0.05, 1.0]), torch.zeros(3)
    expected = {"l1": [0.0, 0.05, 1.0], "mse": [0.0, 0.0025, 1.0], "huber": [0.0, 0.00125, 0.095]}
    for loss, values in expected.items():
        found = row_loss(prediction, target, Recipe(loss=loss, huber_delta=0.1))
        torch.testing.assert_close(found, torch.tensor(values))


def test_hard_and_soft_targets_share_the_loss():
    recipe = Recipe(loss="l1", teacher=Teacher("e3", soft_weight=0.25))
    prediction = torch.zeros(3, requires_grad=True)
    hard, soft = torch.tensor([1.0, 2.0, NAN]), torch.tensor([4.0, NAN, 8.0])
    weight = torch.tensor([0.5, 9.0, 2.0])
    loss = mixed_loss(prediction, hard, soft, weight, recipe)
    expected = (0.75 * 1 + 0.25 * 0.5 * 4) + 2 + 2 * 8
    assert float(loss.detach()) == pytest.approx(expected / 3)
    loss.backward()
    torch.testing.assert_close(prediction.grad, torch.tensor([-0.875, -1.0, -2.0]) / 3)


@pytest.mark.parametrize(("share", "seen"), [(0.0, 1.0), (1.0, 4.0)])
def test_the_ends_of_the_mix(share, seen):
    recipe = Recipe(loss="l1", teacher=Teacher("e3", soft_weight=share))
    found = mixed_loss(
        torch.zeros(1), torch.tensor([1.0]), torch.tensor([4.0]), torch.ones(1), recipe
    )
    assert float(found) == seen


def test_without_teacher_the_loss_is_the_hard_one():
    prediction, hard = torch.randn(9), torch.randn(9)
    nothing = torch.full((9,), NAN)
    found = mixed_loss(prediction, hard, nothing, torch.ones(9), Recipe())
    torch.testing.assert_close(found, row_loss(prediction, hard, Recipe()).mean())


def test_the_average_is_fast_at_first_and_then_limited():
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
        average = MovingAverage(module, 0.5)
        module.weight.fill_(1.0)
    expected = 0.0
    for step in range(30):
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay)
        assert float(average.average[0]) == pytest.approx(expected)
    with average.in_place_of(module):
        assert float(module.weight.detach()) == pytest.approx(expected)
    assert float(module.weight.detach()) == 1.0


@given(decay=st.floats(0.0, 1.0), seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_the_average_is_that_of_averaged_model_to_the_bit(decay, seed):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 1))

    def move(average, present, count):
        rate = min(decay, int(count) / (9 + int(count)))
        for mean, value in zip(average, present, strict=True):
            mean.lerp_(value, 1 - rate)

    average, expected = MovingAverage(module, decay), AveragedModel(module, multi_avg_fn=move)
    expected.n_averaged.fill_(1)  # the weights of the start are the first of its members
    with torch.no_grad():
        for _ in range(25):
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter))
            average.update(module)
            expected.update_parameters(module)
    for mine, other in zip(average.average, expected.module.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_module_gets_its_own_weights_back_after_a_failure():
    module = nn.Linear(2, 1)
    average = MovingAverage(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(7.0)
    with pytest.raises(RuntimeError), average.in_place_of(module):
        raise RuntimeError
    assert module.weight.tolist() == [[7.0, 7.0]]
