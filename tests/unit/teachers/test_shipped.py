"""The programs that ship, each in its own environment, on real crystals.

Environments that the current one cannot stand for are taken from `results/environments`, where the
rules make them, or from the folder that FOLDWISE_ENVIRONMENTS names, or else made here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from packaging.utils import canonicalize_name

from foldwise.common.files import read_json
from foldwise.teachers.environment import is_satisfied, make_environment, requirements
from paths import REPOSITORY
from teacher_files import write_fold

TEACHERS = REPOSITORY / "teachers"
PROGRAMS = ("boosting", "matgl_network", "soap_kernel")
COMPUTING = {
    "ase", "lightgbm", "matminer", "numpy", "pandas", "pyarrow", "pymatgen", "pymatgen-core",
    "scipy", "spglib", "torch",
}  # fmt: skip
FITTED, HELD, TESTED = 180, 40, 30
SAVE = """
import sys, torch, numpy as np
from matgl.apps.pes import Potential
from matgl.models import TensorNet
torch.manual_seed(5)
network = TensorNet(units=8, nblocks=1, cutoff=4.0, is_intensive=False)
potential = Potential(network, data_mean=3.0, data_std=2.5, element_refs=np.linspace(-1, 1, 89))
potential.save(sys.argv[1])
"""
ASK = """
import gzip, json, sys
import matgl, pandas as pd
from pymatgen.core import Structure
content = json.loads(gzip.decompress(open(sys.argv[2], "rb").read()))
network = matgl.load_model(sys.argv[1]).model
crystals = [Structure.from_dict(cells[0]) for cells in content["data"]]
values = [float(network.predict_structure(one)) / len(one) for one in crystals]
pd.DataFrame({"id": content["index"], "value": values}).to_csv(sys.argv[3], index=False)
"""


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    return write_fold(tmp_path_factory.mktemp("crystals"), FITTED, HELD, TESTED)


@pytest.fixture(scope="module")
def python_of(tmp_path_factory):
    """Interpreter by the name of a program."""

    def python(name):
        file = TEACHERS / f"{name}.yaml"
        if is_satisfied(file):
            return Path(sys.executable)
        known = Path(os.environ.get("FOLDWISE_ENVIRONMENTS", REPOSITORY / "results/environments"))
        made = known / f"teachers_{name}" / "venv" / "bin" / "python"
        if not made.is_file():
            place = tmp_path_factory.mktemp(name)
            make_environment(file, place / "venv", place / "packages.json")
            made = place / "venv" / "bin" / "python"
        return made

    return python


def errors(fold, place):
    """Absolute errors on test rows, and what the mean of the fitted rows errs there."""
    rows = pd.read_parquet(place / "test.parquet").set_index("id")["prediction"]
    known = pd.Series(fold.target, index=fold.ids)
    mean = known.iloc[: fold.fitted].mean()
    return (rows - known[rows.index]).abs(), (mean - known[rows.index]).abs()


def run(fold, name, python, place, **job):
    outcome = fold.run(TEACHERS / f"{name}.py", place, python=python, minutes=10, **job)
    assert outcome["failed"] is None, (place / "program.log").read_text()
    assert fold.collect(place) is None
    return read_json(place / "fit.json")["said"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_environments_are_pinned(name):
    pinned = pins(requirements(TEACHERS / f"{name}.yaml"))
    locked = pins((REPOSITORY / "requirements.lock").read_text().splitlines())
    # What computes and is in the lock file too is the same: programs differ by their models alone.
    both = set(pinned) & set(locked) & COMPUTING
    assert len(both) >= 4
    assert {name: pinned[name] for name in both} == {name: locked[name] for name in both}


def pins(lines):
    """Version by canonical name; a line that is no exact pin has none."""
    parts = [line.partition("==") for line in lines if line.strip() and not line.startswith("#")]
    assert all(version for _, _, version in parts)
    return {canonicalize_name(name): version for name, _, version in parts}


def test_the_current_environment_does_for_boosting():
    assert is_satisfied(TEACHERS / "boosting.yaml")


@pytest.mark.proof  # buys: the lists are all that pip installs, so the same comes every time
@pytest.mark.parametrize("name", ["matgl_network", "soap_kernel"])
def test_environments_of_their_own_are_listed_whole(python_of, name):
    words = [python_of(name), "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    installed = {canonicalize_name(one["name"]): one["version"] for one in listed}
    pinned = pins(requirements(TEACHERS / f"{name}.yaml"))
    more = {name for name in installed if name not in pinned and not name.startswith("nvidia-")}
    assert more <= {"pip", "setuptools", "triton"}
    assert {name: installed[name].partition("+")[0] for name in pinned} == pinned


@pytest.mark.slow  # buys: matminer's features and LightGBM really run, and answer the same again
def test_boosting_learns_and_repeats_itself(crystals, tmp_path, python_of):
    python = python_of("boosting")
    said = run(crystals, "boosting", python, tmp_path / "one", options={"trees": 300})
    assert 0 < said["trees"] <= 300
    own, mean = errors(crystals, tmp_path / "one")
    assert own.mean() < 0.7 * mean.mean()
    run(crystals, "boosting", python, tmp_path / "two", options={"trees": 300})
    again = pd.read_parquet(tmp_path / "two" / "test.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one" / "test.parquet"), again)


@pytest.mark.proof  # buys: SOAP by DScribe in an environment that is made for it
@pytest.mark.parametrize(("method", "share"), [("kernel", 0.8), ("neighbours", 0.9)])
def test_soap_learns_by_both_methods(crystals, tmp_path, python_of, method, share):
    said = run(
        crystals, "soap_kernel", python_of("soap_kernel"), tmp_path, options={"method": method}
    )
    assert set(said) == ({"width", "penalty"} if method == "kernel" else {"neighbours"})
    own, mean = errors(crystals, tmp_path)
    assert own.mean() < share * mean.mean()


@pytest.mark.proof  # buys: each network of MatGL really trains, in an environment of its own
@pytest.mark.parametrize("network", ["TensorNet", "MEGNet", "M3GNet"])
def test_matgl_learns_with_each_network(crystals, tmp_path, python_of, network):
    options = {"network": network, "epochs": 12}
    said = run(crystals, "matgl_network", python_of("matgl_network"), tmp_path, options=options)
    assert (said["network"], said["weights"], said["ended_early"]) == (network, "random", None)
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == said["epochs"] == 12
    # The reference of the elements is fitted before: what falls here is the network's. It is little
    # in so few steps.
    assert history["train_mae"].iloc[-1] < 0.98 * history["train_mae"].iloc[0]
    kept = pd.read_parquet(tmp_path / "train.parquet").set_index("id")["prediction"]
    known = pd.Series(crystals.target, index=crystals.ids)[kept.index]
    assert (kept - known).abs().mean() == pytest.approx(history["val_mae"].min(), abs=1e-4)
    assert history["val_mae"].idxmin() + 1 == said["best_epoch"]
    own, mean = errors(crystals, tmp_path)
    assert own.mean() < mean.mean()


@pytest.mark.proof  # buys: a user's own weights are what answers, with the reference fitted anew
def test_matgl_goes_on_with_given_weights(crystals, tmp_path, python_of):
    """With a learning rate of almost nothing the answers are those of MatGL itself for the weights,
    and a ridge regression on what they leave."""
    python = python_of("matgl_network")
    for name, text in (("save.py", SAVE), ("ask.py", ASK)):
        (tmp_path / name).write_text(text)
    weights, table = tmp_path / "weights", tmp_path / "asked.csv"
    subprocess.run([python, tmp_path / "save.py", weights], check=True)
    said = run(
        crystals, "matgl_network", python, tmp_path / "run",
        words=["--weights", str(weights / "state.pt")],
        options={"epochs": 1, "lr": 1e-12},
    )  # fmt: skip
    assert (said["network"], said["weights"]) == ("TensorNet", "given")

    crystals.write_job("asked.zip")
    subprocess.run(["unzip", "-oq", crystals.root / "asked.zip", "-d", tmp_path], check=True)
    structures = tmp_path / "structures.json.gz"
    subprocess.run([python, tmp_path / "ask.py", weights, structures, table], check=True)
    raw = 2.5 * pd.read_csv(table, index_col="id")["value"]
    shares = pd.DataFrame(composition(structures)).fillna(0.0).loc[raw.index]
    known = pd.Series(crystals.target, index=crystals.ids)
    fit = crystals.ids[: crystals.fitted]
    left = known[fit] - raw[fit]
    square = shares.loc[fit].T @ shares.loc[fit] + 1e-2 * np.eye(shares.shape[1])
    weight = np.linalg.solve(square, shares.loc[fit].T @ (left - left.mean()))
    wanted = raw + shares @ weight + left.mean()
    rows = pd.read_parquet(tmp_path / "run" / "test.parquet").set_index("id")["prediction"]
    np.testing.assert_allclose(rows, wanted[rows.index], atol=2e-5)


def composition(path):
    """Shares of the elements by id, read from the structures without pymatgen."""
    content = pd.read_json(path, orient="split", convert_axes=False)
    sites = content["structure"].map(
        lambda one: [site["species"][0]["element"] for site in one["sites"]]
    )
    return [pd.Series(one).value_counts(normalize=True).rename(name) for name, one in sites.items()]


@pytest.mark.proof  # buys: what a user gets wrong of these options is said in one line
@pytest.mark.parametrize(
    ("options", "words", "line"),
    [
        ({"network": "ALIGNN"}, [], "option network is 'ALIGNN'; it is one of TensorNet, "),
        ({"cutof": 4}, [], "there is no option 'cutof'; network, "),
        ({}, ["--weights", "mine/state.pt"], "there is no state.pt in mine; "),
    ],
)
def test_matgl_says_what_it_cannot_do(fold, tmp_path, python_of, options, words, line):
    python = python_of("matgl_network")
    outcome = fold.run(
        TEACHERS / "matgl_network.py", tmp_path, python=python, words=words, options=options
    )
    assert outcome["failed"].startswith(f"it ended with exit code 1; it last said: {line}")


@pytest.mark.proof  # buys: a budget that is too small ends the training, and the best epoch answers
def test_matgl_ends_before_its_time_is_over(crystals, tmp_path, python_of):
    place, python = tmp_path, python_of("matgl_network")
    outcome = crystals.run(
        TEACHERS / "matgl_network.py", place, python=python, minutes=1,
        options={"network": "MEGNet", "epochs": 100_000},
    )  # fmt: skip
    assert outcome["failed"] is None
    said = json.loads((place / "left" / "fit.json").read_text())
    assert said["ended_early"].startswith("no time for ")
    assert said["best_epoch"] <= said["epochs"] < 100_000
