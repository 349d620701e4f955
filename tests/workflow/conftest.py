"""The small study, run once by Snakemake for all tests of this folder."""

import pytest

from small_study import build_house


@pytest.fixture(scope="session")
def bare_house(tmp_path_factory):
    """A copy of the repository without results."""
    return build_house(tmp_path_factory.mktemp("bare") / "house")


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The finished tiny study; tests that change its files take a copy."""
    house = build_house(tmp_path_factory.mktemp("study") / "house")
    done = house.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return house
