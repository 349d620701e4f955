"""The small study, run once by Snakemake for all tests of this folder."""

import pytest
from filelock import FileLock

from small_study import House, build_house


@pytest.fixture(scope="session")
def bare_house(tmp_path_factory):
    """A copy of the repository without results."""
    return build_house(tmp_path_factory.mktemp("bare") / "house")


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, worker_id):
    """The tiny study, made by the first of the parallel test processes that asks for it."""
    own = tmp_path_factory.getbasetemp()
    place = (own if worker_id == "master" else own.parent) / "finished_study"
    with FileLock(place.with_suffix(".lock")):
        if not place.exists():
            house = build_house(place.with_suffix(".part"))
            done = house.snakemake()
            assert done.returncode == 0, done.stdout + done.stderr
            house.root.rename(place)
    return House(place)


@pytest.fixture(scope="session")
def study(finished_study, tmp_path_factory):
    """The finished tiny study of this test process; tests that change its files take a copy."""
    return finished_study.copy(tmp_path_factory.mktemp("study") / "house")
