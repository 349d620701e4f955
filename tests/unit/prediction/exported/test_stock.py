"""What the chgnet package makes of exported weights, and of the script beside them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from chgnet.model import CHGNet
from pymatgen.core import Structure
from safetensors import SafetensorError, safe_open

from crystal_files import small_store
from foldwise.graphs.sources import open_batches
from foldwise.network.machine import Machine
from foldwise.network.output import predict
from foldwise.network.transform import compositions
from foldwise.prediction.exported.stock import stock_reason, write_stock
from foldwise.prediction.new_crystals.predictor import Predictor
from model_files import exported_model, trained
from paths import REPOSITORY

COUNT = 6
SCRIPT = REPOSITORY / "reports" / "model_predict.py"


class Attack:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def shipped_script(path):
    spec = importlib.util.spec_from_file_location("shipped", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    store = small_store(tmp_path_factory.mktemp("graphs") / "store", COUNT)
    offsets, arrays = store.offsets[:, 0], store.arrays
    structures = [
        Structure(arrays["lattice"][row], arrays["numbers"][part], arrays["frac"][part])
        for row, part in enumerate(map(slice, offsets[:-1], offsets[1:]))
    ]
    return store, structures


@pytest.mark.parametrize("transform", ["element_reference", "standardize"])
@pytest.mark.parametrize(("name", "init"), [("chgnet", "pretrained"), ("chgnet_lite", "scratch")])
def test_stock_chgnet_gives_the_same_prediction(crystals, tmp_path, name, init, transform):
    store, structures = crystals
    model = trained(name, transform, init)
    write_stock(tmp_path / "stock.safetensors", model)
    stock = shipped_script(SCRIPT).load_chgnet(tmp_path / "stock.safetensors")
    assert isinstance(stock, CHGNet)
    found = [float(stock.predict_structure(one, task="e")["e"]) for one in structures]
    source = open_batches(store, torch.device("cpu"))
    ours = predict(model.network, model.transform, source, compositions(store), np.arange(COUNT))
    np.testing.assert_allclose(found, ours, atol=2e-5)
    assert np.ptp(ours) > 1e-3  # fifty times what is allowed above


def test_equal_models_give_equal_bytes_that_load_without_unpickling(tmp_path):
    for name in ("a", "b"):
        write_stock(tmp_path / name, trained("chgnet_lite", "standardize"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(str(tmp_path / "a"), framework="pt") as archive:
        assert set(archive.metadata()) == {"model_args"}


def test_a_pickle_in_place_of_weights_runs_no_code(tmp_path):
    folder = exported_model(tmp_path)
    ran = tmp_path / "ran"
    stock = min((folder / "chgnet").iterdir())
    torch.save({"model": Attack(ran)}, stock)
    with pytest.raises(SafetensorError):
        shipped_script(folder / "predict.py").Model(folder)
    assert not ran.exists()


def test_what_chgnet_cannot_express():
    model = trained("chgnet_lite", "standardize")
    assert stock_reason(model, intensive=True) is None
    assert "sum over the cell" in stock_reason(model, intensive=False)
    for changes, words in (
        ({"link": "log10"}, "no target transform"),
        ({"link": "logit"}, "no target transform"),
        ({"extensive": True}, "no target transform"),
        ({"low": 0.0}, "cannot keep its answers above 0"),
    ):
        other = replace(model, transform=replace(model.transform, **changes))
        assert words in stock_reason(other, intensive=True)


def test_the_script_of_the_folder_answers_as_the_engine_does(crystals, tmp_path):
    folder = exported_model(tmp_path)
    shipped = shipped_script(folder / "predict.py")
    alone, engine = shipped.Model(folder), Predictor(folder, Machine("cpu"))
    for structure in crystals[1][:3]:
        atoms = Atoms(
            numbers=structure.atomic_numbers, cell=structure.lattice.matrix,
            scaled_positions=structure.frac_coords, pbc=True,
        )  # fmt: skip
        expected = engine.predict(atoms)
        for given in (atoms, structure):
            found = alone.predict(given)
            for field in ("prediction", "low", "high", "std"):
                ours = getattr(expected, field)
                assert getattr(found, field) == pytest.approx(ours, abs=5e-5), field
        assert expected.low < expected.prediction < expected.high
