"""What a GPU may do, on a CPU: settings and their mistakes."""

import argparse

import pytest
import torch

from crystal_files import small_store
from foldwise.common.errors import FoldwiseError
from foldwise.graphs.sources import open_batches
from foldwise.network.acceleration import Accelerator, accelerate, mean_size
from foldwise.network.checkpoint import new_network
from foldwise.network.machine import EngineSettings, machine_of
from foldwise.network.options import add_machine_options


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("acceleration") / "graphs", 24)


@pytest.fixture(scope="module")
def parts(store):
    source = open_batches(store, torch.device("cpu"))
    return [source.batch(torch.arange(8 * number, 8 * number + 8)) for number in range(3)]


def test_a_large_batch_is_not_filled_up(store, parts, monkeypatch):
    network = new_network("chgnet_lite", "scratch")
    seen = []

    def watched(function, *, mode=None, **_):
        def run(batch):
            seen.append((mode, len(batch.n_atoms)))
            return function(batch)

        return run

    network.accelerator = Accelerator(
        network,
        mean_size(store),
        compiled=True,
        precision="float32",
        graphs=True,
        compiler=watched,
    )
    small = network(parts[0])
    monkeypatch.setattr("foldwise.network.acceleration.GRAPH_LIMIT", 10)
    large = network(parts[0])
    assert seen[0][0] == "reduce-overhead"
    assert seen[0][1] > 8
    assert seen[1] == (None, 8)
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-5)


def gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


class Recorder:
    """A compiler whose `reduce-overhead` treats memory as a CUDA graph does.

    Every run of a recorded graph writes over all that its last run has left: its output, the
    gradients of its backward pass, and what a backward pass that is still to come would need.
    """

    def __init__(self):
        self.modes, self.generation, self.left = [], 0, []

    def __call__(self, function, *, mode=None, **_):
        network = function.__self__

        def run(batch):
            self.modes.append(mode)
            if mode is None:
                return function(batch)
            self.generation += 1
            waiting = [parameter.grad for parameter in network.parameters()]
            for tensor in (*self.left, *(grad for grad in waiting if grad is not None)):
                tensor.fill_(torch.nan)
            output = function(batch)
            self.left = [output.detach()]
            if output.requires_grad:
                output.register_hook(self.check(self.generation))
            return output

        return run

    def check(self, own):
        def hook(_):
            assert self.generation == own, "a later run has written over the activations"

        return hook


@pytest.fixture
def recorded(store):
    """A network in graphs, its twin without, and the recorder."""
    recorder = Recorder()
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(new_network("chgnet_lite", "scratch"))
    networks[0].accelerator = Accelerator(
        networks[0], mean_size(store), compiled=True, precision="float32", graphs=True,
        compiler=recorder,
    )  # fmt: skip
    return *networks, recorder


def test_a_graphs_next_run_leaves_the_last_ones_energies(recorded, parts):
    network, twin, recorder = recorded
    with torch.no_grad():
        energies = [network(part) for part in parts]
        expected = [twin(part) for part in parts]
    assert recorder.modes == ["reduce-overhead"] * 3
    torch.testing.assert_close(energies, expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_that_waits_for_more_is_not_written_over(recorded, parts):
    """Parts of one step, the energies without gradient between two steps, and the next step."""
    network, twin, recorder = recorded
    for _ in range(2):
        for part in parts:
            network(part).square().sum().backward()
            twin(part).square().sum().backward()
        for ours, own in zip(gradients(network), gradients(twin), strict=True):
            assert (ours - own).norm() <= 1e-4 * own.norm() + 1e-7
        with torch.no_grad():
            network(parts[0])
        network.zero_grad()
        twin.zero_grad()
    step = ["reduce-overhead", None, None, "reduce-overhead"]
    assert recorder.modes == step * 2


def test_a_training_in_graphs_ends_as_it_would_without(recorded, parts):
    network, twin, _ = recorded
    for model in (network, twin):
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(2):
            for part in parts:
                optimiser.zero_grad()
                model(part).square().mean().backward()
                optimiser.step()
    for ours, own in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-6)


def test_a_cpu_takes_no_notice(store):
    network = new_network("chgnet_lite", "scratch")
    accelerate(network, store, EngineSettings(compiled="yes", precision="bf16"), passes=10**9)
    assert network.accelerator is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[]", "--engine: it is not a JSON object. Write --engine '{\"key\": value}'."),
        ("{", "--engine: it is not valid JSON (Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1)). Write --engine '{\"key\": value}'."),
        ('{"speed": 1}',
         "--engine: unknown key 'speed'. Allowed: compiled, precision, deterministic."),
        ('{"precision": "fp8"}',
         "--engine.precision: 'fp8' is not accepted. Allowed: float32, tf32, bf16."),
        ('{"compiled": "maybe"}',
         "--engine.compiled: 'maybe' is not accepted. Allowed: auto, yes, no, true, false."),
        ('{"deterministic": "no"}',
         "--engine.deterministic: 'no' is not accepted. Allowed: true, false."),
    ],
)  # fmt: skip
def test_mistakes_in_the_settings(text, line):
    parser = argparse.ArgumentParser()
    add_machine_options(parser)
    with pytest.raises(FoldwiseError) as caught:
        machine_of(parser.parse_args(["--engine", text]))
    assert str(caught.value) == line
