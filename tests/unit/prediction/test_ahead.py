"""What a training job predicts for the job after it: taken if nothing has changed, else left."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from crystal_files import small_store
from foldwise.common.files import write_json
from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.machine import Machine
from foldwise.network.transform import compositions, fit_transform
from foldwise.prediction.ahead import leave, take
from foldwise.prediction.files import PredictionFiles
from foldwise.prediction.job import predict_subsets
from foldwise.tasks.splits import FoldSplit

COUNT = 12
MACHINE = Machine("cpu")
SETTINGS = {"threads": MACHINE.threads, "engine": vars(MACHINE.engine)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint with what its training has left, and the same predictions made afterwards."""
    folder = tmp_path_factory.mktemp("ahead")
    store = small_store(folder / "graphs", COUNT)
    composition = compositions(store)
    transform = fit_transform(
        "element_reference", composition, composition @ np.linspace(-2, 2, 94), np.zeros(COUNT)
    )
    network = new_network("chgnet_lite", "scratch")
    save_model(folder / "model.safetensors", TrainedModel("chgnet_lite", network, transform))
    ids = tuple(store.ids)
    split = FoldSplit("t", 0, 2, "A test.", False, True, ids[:8], (ids[:4], ids[4:8]), ids[8:])
    write_json(folder / "split.json", split.as_json())
    files = PredictionFiles(
        folder / "model.safetensors", folder / "graphs", folder / "split.json", ("test", "train"), 0
    )
    predict_subsets(files, machine=MACHINE, out=folder / "own")
    leave(files, MACHINE)
    return folder, files


@pytest.fixture
def left(trained, tmp_path):
    """A copy of the folder, and the files in it."""
    folder, files = trained
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    return copy, replace(
        files,
        model=copy / "model.safetensors",
        graphs=copy / "graphs",
        split=copy / "split.json",
    )


def test_what_is_left_is_taken_once_and_is_the_prediction_jobs_own(left, tmp_path):
    folder, files = left
    assert take(files, **SETTINGS, out=tmp_path / "out")
    for name in ("test.parquet", "train.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / "own" / name).read_bytes()
    assert (tmp_path / "out" / "test_timing.json").exists()
    assert not (folder / ".predictions").exists()
    assert not take(files, **SETTINGS, out=tmp_path / "again")


@pytest.mark.parametrize("change", ["model", "graphs", "split", "holdout", "subsets", "threads"])
def test_what_other_inputs_made_is_not_taken(left, tmp_path, change):
    _, files = left
    settings = dict(SETTINGS)
    if change in ("model", "split"):
        with getattr(files, change).open("ab") as handle:
            handle.write(b" ")
    elif change == "graphs":
        with (files.graphs / "meta.json").open("a") as handle:
            handle.write(" ")
    elif change == "threads":
        settings["threads"] = 2
    else:
        files = replace(files, **{change: 1 if change == "holdout" else ("test",)})
    assert not take(files, **settings, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_edit_to_the_predicting_code_makes_it_stale(left, tmp_path, monkeypatch):
    _, files = left
    monkeypatch.setattr("foldwise.prediction.ahead.code_of", lambda *_: "edited")
    assert not take(files, **SETTINGS, out=tmp_path / "out")


def test_a_folder_that_a_kill_left_half_moved_is_not_taken(left, tmp_path):
    folder, files = left
    (folder / ".predictions" / "identity").unlink()
    assert not take(files, **SETTINGS, out=tmp_path / "out")
