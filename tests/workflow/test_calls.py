"""How people call Snakemake: from any shell, in any folder, and with a typo."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from small_study import CONFIG, TASK, build_house

# No `python` of the environment on it: what a shell has that has not activated one.
BARE = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def spaced(tmp_path_factory):
    """A house and a dataset with spaces in their names."""
    house = build_house(tmp_path_factory.mktemp("spaced") / "my house")
    (house.root / "my data").mkdir()
    (house.root / "tiny.json.gz").rename(house.root / "my data" / "tiny set.json.gz")
    dataset = {**CONFIG["datasets"][TASK], "path": "my data/tiny set.json.gz"}
    house.write_config("my study.json", datasets={TASK: dataset})
    return house


def call(house, *targets):
    snakemake = Path(sys.executable).parent / "snakemake"
    return subprocess.run(
        [snakemake, "--cores", "2", "--resources", "gpu=1", "--workflow-profile", "profiles/cpu",
         "--configfile", "my study.json", "--", *targets],
        cwd=house.root, env=BARE, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_bare_shell_and_spaces_in_names_are_no_obstacle(spaced):
    target = f"results/tiny/splits/{TASK}/duplicates.json"
    done = call(spaced, target, f"results/tiny/data/{TASK}/graphs")
    assert done.returncode == 0, done.stderr
    assert json.loads((spaced.root / target).read_text())["folds"]
    assert not list((spaced.root / ".snakemake" / "foldwise_calls").glob("*.json"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("results/tiny/e9/results.json", "this study has no experiment 'e9'"),
        ("results/tinny/e4/results.json", "this study writes to results/tiny/, not to"),
        ("e4", "no rule has this name or makes this file. Ask for results/tiny/e4/results.json"),
    ],
)
def test_a_target_that_does_not_exist_is_answered_with_those_that_do(spaced, target, said):
    done = call(spaced, target)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "rror" in line]
    assert line.startswith(f"error: {target}: {said}")
    assert "Its experiments: e0, e3, e4." in line
