"""A signal between two steps: the state is saved, and what follows ends in the same bytes."""

import io
import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from crystal_files import small_store
from foldwise.common.lease import Lease
from foldwise.common.progress import ProgressLog
from foldwise.network.checkpoint import new_network
from foldwise.training.fit import Training, fit
from foldwise.training.stopping import (
    EXIT_TIME_LIMIT,
    NEAR_TIME_LIMIT,
    Stopped,
    StopRequest,
    stop_requests,
)
from paths import REPOSITORY
from training_problems import lite_problem


class StopAt(StopRequest):
    """Asks for the end after some questions."""

    def __init__(self, questions):
        super().__init__()
        self._left = questions

    def __getattribute__(self, name):
        if name == "signal":
            self._left -= 1
            return NEAR_TIME_LIMIT if self._left < 0 else None
        return super().__getattribute__(name)

    def __setattr__(self, name, value):
        if name != "signal":
            super().__setattr__(name, value)


def training(store, folder):
    torch.manual_seed(0)
    network = new_network("chgnet_lite", "scratch")
    problem = lite_problem(store, epochs=3, augment={"displacement": 0.02, "strain": 0.01})
    return Training(
        network, problem, folder / "state", "work", ProgressLog(io.StringIO(), 100),
        lease=Lease(folder / "lease"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("stop") / "graphs", 40)


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    return fit(training(store, tmp_path_factory.mktemp("whole")))


# 4 steps an epoch and a question after each, one more after the epoch: within epochs and between.
@pytest.mark.parametrize("questions", [(0,), (2, 3), (4, 6), (1, 1, 1)])
def test_a_stopped_training_goes_on_at_its_step_with_the_same_bytes(
    store, tmp_path, undisturbed, questions
):
    for count in questions:
        with pytest.raises(Stopped):
            fit(training(store, tmp_path), stop=StopAt(count))
    result = fit(training(store, tmp_path))
    for ours, theirs in zip(
        result.network.parameters(), undisturbed.network.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert result.progress.history == undisturbed.progress.history
    assert (result.steps, result.passes) == (undisturbed.steps, undisturbed.passes)
    assert len(result.seconds_per_epoch) == 3


PROGRAM = """
import signal, sys
from foldwise.training.stopping import Stopped, stop_requests
with stop_requests() as stop:
    print("ready", flush=True)
    while stop.signal is None:
        signal.pause()
    print("saved", flush=True)
    raise Stopped
"""


@pytest.mark.parametrize(
    ("number", "code"), [(NEAR_TIME_LIMIT, EXIT_TIME_LIMIT), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_a_program_ends_as_the_signal_asks_after_it_has_saved(number, code):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY / "scripts",
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "saved\n"
    assert process.returncode == code


def test_handlers_are_as_before_afterwards_and_untouched_beside_the_main_thread():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests() as stop:
        os.kill(os.getpid(), NEAR_TIME_LIMIT)
    assert stop.signal == NEAR_TIME_LIMIT
    assert signal.getsignal(signal.SIGTERM) == before
    seen = []

    def beside():
        with stop_requests() as other:
            seen.append(other.signal)

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert seen == [None]


def test_who_has_lost_the_lease_writes_nothing_and_ends_well_once_the_other_has_written(tmp_path):
    first, second = Lease(tmp_path / "lease"), Lease(tmp_path / "lease")
    assert (first.is_held, second.is_held) == (False, True)
    output, said = tmp_path / "model", []
    second.yield_to_holder([output], said.append)
    assert said == []
    output.touch()
    with pytest.raises(SystemExit) as caught:
        first.yield_to_holder([output], said.append)
    assert caught.value.code == 0
    assert "taken over" in said[0]
    (tmp_path / "lease").unlink()  # the other one has ended
    assert not second.is_held
