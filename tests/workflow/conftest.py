"""Studies that Snakemake runs once for all tests of this folder."""

import pytest
from filelock import FileLock

from later_study import CHANGES
from small_study import House, build_house


@pytest.fixture(scope="session")
def bare_house(tmp_path_factory):
    """A copy of the repository without results."""
    return build_house(tmp_path_factory.mktemp("bare") / "house")


def made_once(tmp_path_factory, worker_id, name, make):
    """A house that the first of the parallel test processes makes that asks for it."""
    own = tmp_path_factory.getbasetemp()
    place = (own if worker_id == "master" else own.parent) / name
    with FileLock(place.with_suffix(".lock")):
        if not place.exists():
            make(place.with_suffix(".part")).rename(place)
    return House(place)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, worker_id):
    """The tiny study."""

    def make(root):
        house = build_house(root)
        done = house.snakemake()
        assert done.returncode == 0, done.stdout + done.stderr
        return house.root

    return made_once(tmp_path_factory, worker_id, "finished_study", make)


@pytest.fixture(scope="session")
def later_study(finished_study, tmp_path_factory, worker_id):
    """The tiny study and the experiments that follow it; nobody changes its files."""

    def make(root):
        house = finished_study.copy(root)
        done = house.snakemake(config=house.write_config("later.json", **CHANGES))
        assert done.returncode == 0, done.stdout + done.stderr
        return house.root

    return made_once(tmp_path_factory, worker_id, "later_study", make)


@pytest.fixture(scope="session")
def study(finished_study, tmp_path_factory):
    """The finished tiny study of this test process; tests that change its files take a copy."""
    return finished_study.copy(tmp_path_factory.mktemp("study") / "house")
