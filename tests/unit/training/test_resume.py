import errno
import os
import subprocess

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foldwise.common.code import sources_of
from foldwise.study.recipe import Recipe
from foldwise.training.resume import Clock, load_state, save_state, work_fingerprint
from paths import REPOSITORY

STATE = {"step": 3, "average": [torch.arange(3.0)], "history": [{"epoch": 1, "val_mae": 0.5}]}


@pytest.fixture
def path(tmp_path):
    save_state(tmp_path / ".resume" / "state.pt", "mine", STATE)
    return tmp_path / ".resume" / "state.pt"


def test_the_state_comes_back_to_the_same_work(path):
    state = load_state(path, "mine")
    assert (state["step"], state["history"]) == (3, STATE["history"])
    torch.testing.assert_close(state["average"], STATE["average"])
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]


def test_no_state_or_that_of_other_work(path, tmp_path):
    assert load_state(path, "another") is None
    assert load_state(tmp_path / "none.pt", "mine") is None
    torch.save([1, 2], path)
    assert load_state(path, "mine") is None


@pytest.mark.parametrize("keep", [0, 1, 100, 700, -1])
def test_a_truncated_state_is_no_state(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    assert load_state(path, "mine") is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_garbage_is_no_state(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("garbage") / "state.pt"
    path.write_bytes(content)
    assert load_state(path, "mine") is None


def test_a_fingerprint_follows_every_fact():
    facts = {"recipe": Recipe(), "seed": 0, "fit_ids": ["a"], "soft": None}
    program = "jobs/train_model.py"
    own = work_fingerprint(program, **facts)
    assert own == work_fingerprint(program, **dict(reversed(facts.items())))
    for change in ({"recipe": Recipe(lr=0.5)}, {"seed": 1}, {"fit_ids": ["b"]}, {"soft": {"a": 1}}):
        assert work_fingerprint(program, **{**facts, **change}) != own


def test_a_training_depends_on_what_it_imports_and_not_on_pages():
    files = set(sources_of("jobs/train_model.py", str(REPOSITORY / "scripts")))
    library = REPOSITORY / "scripts" / "foldwise"
    assert {
        str(library / "network" / "chgnet.py"),
        str(library / "network/kernels/tiles.h"),
    } <= files
    assert not [name for name in files if "/site/" in name or "/experiment/" in name]


def test_a_clock_goes_on_where_the_latest_saved_one_stood():
    """Seeds of one job save the job's time; one that ended early has saved less of it."""
    clock = Clock()
    before = clock.read()
    for saved in ({"wall": 50.0, "cpu": 90.0}, {"wall": 70.0, "cpu": 80.0}):
        clock.resume(saved)
    after = clock.read()
    assert 70 <= after["wall"] - before["wall"] < 80
    assert 90 <= after["cpu"] - before["cpu"] < 100


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no small disk could be mounted")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_last_state_stays(small_disk):
    """PyTorch's own words of a write that does not fit name neither disk nor file."""
    path = small_disk / "state.pt"
    save_state(path, "mine", {"small": torch.zeros(10)})
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_state(path, "mine", {"large": torch.zeros(100_000)})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert [each.name for each in small_disk.iterdir()] == ["state.pt"]
    assert load_state(path, "mine")["small"].sum() == 0
