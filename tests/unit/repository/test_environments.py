"""The pinned environments: lock file, direct dependencies and conda environments agree."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from paths import REPOSITORY


def pins(lines):
    """Canonical name to version of `name==version` lines."""
    matches = (re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line.strip()) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


LOCK_LINES = (REPOSITORY / "requirements.lock").read_text().splitlines()
LOCK = pins(LOCK_LINES)
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
DIRECT = {
    canonicalize_name(Requirement(line).name)
    for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])
}
ENVIRONMENTS = sorted(path.name for path in (REPOSITORY / "envs").glob("*.yaml"))


def test_every_line_of_the_lock_file_is_an_exact_pin():
    lines = [line for line in LOCK_LINES if line.strip() and not line.startswith("#")]
    assert len(pins(lines)) == len(lines)


def test_direct_dependencies_are_locked():
    assert DIRECT - set(LOCK) == set()


def test_the_lock_file_is_that_of_this_environment():
    installed = {name: metadata.version(name).partition("+")[0] for name in LOCK}
    assert installed == LOCK


def test_everything_that_a_direct_dependency_needs_is_locked():
    """Installed distributions reached from the direct ones; torch brings its own on its line."""
    waiting, seen = [name for name in DIRECT if name != "torch"], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            other = canonicalize_name(needed.name)
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and other != "torch" and is_installed(other):
                waiting.append(other)
    assert seen - set(LOCK) == set()


def is_installed(name):
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environments_pin_the_versions_of_the_lock_file(name):
    dependencies = yaml.safe_load((REPOSITORY / "envs" / name).read_text())["dependencies"]
    lines = [line for part in dependencies if isinstance(part, dict) for line in part["pip"]]
    found = pins(lines)
    assert found
    assert len(found) == len(lines)
    assert found == {package: LOCK.get(package) for package in found}
    python = PROJECT["requires-python"].removeprefix(">=")
    assert f"python={python}" in dependencies
    post = REPOSITORY / "envs" / name.replace(".yaml", ".post-deploy.sh")
    if post.exists():
        more = pins(re.findall(r"\S+==\S+", post.read_text()))
        assert more == {package: LOCK.get(package) for package in more}
