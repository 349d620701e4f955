"""Test-time averaging: the mean of views, less a bias that no test row has a part in."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from crystal_files import small_store
from foldwise.common.files import write_json
from foldwise.graphs.sources import ResidentStore
from foldwise.graphs.views import TEST_EPOCH, Strength, Views
from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.machine import Machine
from foldwise.network.output import predict
from foldwise.network.transform import compositions, fit_transform
from foldwise.prediction.views import predict_views
from foldwise.tasks.splits import FoldSplit

STRENGTH = Strength(0.04, 0.01)
COUNT = 30


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A store, a checkpoint of the pretrained network, and a split."""
    folder = tmp_path_factory.mktemp("views")
    store = small_store(folder / "graphs", COUNT)
    composition = compositions(store)
    targets = composition @ np.linspace(-2, 2, 94)
    network = new_network("chgnet", "pretrained")
    transform = fit_transform("element_reference", composition, targets, np.zeros(COUNT))
    save_model(folder / "model.safetensors", TrainedModel("chgnet", network, transform))
    ids = tuple(store.ids)
    split = FoldSplit(
        "t", 0, 2, "A test.", False, True, ids[:20], (ids[:8], ids[8:20]), ids[20:]
    )  # fmt: skip
    return folder, store, split, transform, network


def answered(house, split, out, **options):
    folder = house[0]
    write_json(out / "split.json", split.as_json())
    given = {"holdout": 0, "count": 3, "strength": STRENGTH, "seed": 5, **options}
    predict_views(
        folder / "model.safetensors", graphs=folder / "graphs", split_path=out / "split.json",
        machine=Machine("cpu"), out=out, **given,
    )  # fmt: skip
    table = pd.read_parquet(out / "test.parquet").set_index("id")
    return table, json.loads((out / "calibration.json").read_text())


def test_the_answer_is_the_mean_of_views_less_the_validation_rows_bias(house, tmp_path):
    _, store, split, transform, network = house
    table, calibration = answered(house, split, tmp_path)
    source, composition = ResidentStore(store, torch.device("cpu")), compositions(store)
    views = Views(source, store.ids, STRENGTH, 5)

    def mean_of_views(rows):
        return np.mean(
            [
                predict(network, transform, views.at(TEST_EPOCH, k), composition, rows)
                for k in range(3)
            ],
            axis=0,
        )

    held, test = np.arange(8), np.arange(20, COUNT)
    bias = (mean_of_views(held) - predict(network, transform, source, composition, held)).mean()
    assert calibration["bias"] == pytest.approx(bias, abs=1e-6)
    assert calibration["bias"] > 1e-3
    assert calibration["n_validation"] == 8
    np.testing.assert_allclose(table["prediction"], mean_of_views(test) - bias, atol=2e-6)
    timing = json.loads((tmp_path / "test_timing.json").read_text())
    assert (timing["views"], timing["structures"]) == (3, 10)


def test_the_bias_is_measured_on_validation_rows_alone(house, tmp_path):
    """Other test rows, and other fitted rows, leave it as it is; another hold-out does not."""
    split = house[2]
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir(), (tmp_path / "c").mkdir()
    table, calibration = answered(house, split, tmp_path / "a")
    fewer = replace(split, test=split.test[3:])
    part, same = answered(house, fewer, tmp_path / "b")
    assert same["bias"] == calibration["bias"]
    np.testing.assert_allclose(part["prediction"], table.loc[part.index, "prediction"], atol=2e-6)
    _, other = answered(house, split, tmp_path / "c", holdout=1)
    assert other["bias"] != calibration["bias"]
