import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from foldwise.common.errors import FoldwiseError
from foldwise.network.checkpoint import TrainedModel, load_model, new_network, save_model
from foldwise.network.transform import N_ELEMENTS, TargetTransform
from paths import REPOSITORY

HINT = "Delete it and train again."
SAVE = """
import sys, torch, test_checkpoint
test_checkpoint.save_model(sys.argv[1], test_checkpoint.small_model())
"""


def small_model():
    torch.manual_seed(0)
    element = np.linspace(-1, 1, N_ELEMENTS)
    transform = TargetTransform("element_reference", element, 0.25, 1.5, -1.0, 0.7)
    return TrainedModel("chgnet_lite", new_network("chgnet_lite", "scratch"), transform)


@pytest.fixture
def path(tmp_path):
    save_model(tmp_path / "model.safetensors", small_model())
    return tmp_path / "model.safetensors"


def line_of(path):
    with pytest.raises(FoldwiseError) as caught:
        load_model(path)
    return str(caught.value)


def test_a_model_comes_back_bit_for_bit(path):
    saved, loaded = small_model(), load_model(path)
    assert loaded.model_name == "chgnet_lite"
    state = loaded.network.state_dict()
    for name, tensor in saved.network.state_dict().items():
        assert torch.equal(state[name], tensor), name
    for name in ("name", "shift", "scale", "train_mean", "train_std"):
        assert getattr(loaded.transform, name) == getattr(saved.transform, name)
    np.testing.assert_array_equal(loaded.transform.element, saved.transform.element)


@pytest.mark.slow  # buys: bytes that do not depend on the process
def test_equal_models_have_equal_bytes_in_every_process(path, tmp_path):
    """In other processes too: a hash map's order differs between them."""
    folders = (REPOSITORY / "scripts", REPOSITORY / "tests/helpers", Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    for number in range(2):
        other = tmp_path / f"{number}.safetensors"
        subprocess.run([sys.executable, "-c", SAVE, str(other)], env=environment, check=True)
        assert other.read_bytes() == path.read_bytes()
    with safe_open(str(path), framework="pt") as archive:
        assert len(archive.metadata()) == 1


def test_random_weights_follow_the_seed():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(new_network("chgnet_lite", "scratch").state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert not all(torch.equal(tensor, states[2][name]) for name, tensor in states[0].items())


def test_missing_checkpoint(tmp_path):
    path = tmp_path / "none"
    assert line_of(path) == f"{path}: the checkpoint does not exist. Train the model first."


@pytest.mark.parametrize("keep", [0, 4, 100, 5000, -1])
def test_truncated_checkpoint(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    line = line_of(path)
    assert line.startswith(f"{path}: the checkpoint is truncated or not a safetensors file (")
    assert line.endswith(f"). {HINT}")


OTHERS = [None, {"format": "pt"}, {"foldwise": '{"format": "foldwise-0"}'}]


@pytest.mark.parametrize("metadata", OTHERS)
def test_a_checkpoint_of_another_program(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    found = json.loads((metadata or {}).get("foldwise", "{}"))
    assert line_of(path) == (
        f"{path}: not a Foldwise checkpoint: {json.dumps(found)}. "
        "Give a model.safetensors that this project wrote."
    )


def changed(path, **changes):
    """The checkpoint with other tensors; `None` leaves one out."""
    with safe_open(str(path), framework="pt") as archive:
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        metadata = archive.metadata()
    tensors |= changes
    save_file({k: v for k, v in tensors.items() if v is not None}, path, metadata=metadata)


WEIGHT, ELEMENT = "bond_embedding.weight", "foldwise.element_reference"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (WEIGHT, torch.full((64, 31), torch.nan)),
        (WEIGHT, torch.zeros(3, 3)),
        (WEIGHT, None),
        (ELEMENT, torch.zeros(93)),
        (ELEMENT, torch.full((94,), torch.inf)),
        (ELEMENT, None),
        ("foldwise.transform", torch.zeros(3)),
        ("foldwise.transform", None),
    ],
)
def test_weights_that_cannot_be_used_are_refused(path, name, value):
    changed(path, **{name: value})
    assert str(path) in line_of(path)


HEADERS = [b"[]", b"{}", b"null", b'{"a": []}', b'{"a": {"dtype": "F32"}}', b"[" * 5000,
           b"\xff" * 9,
           b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
           b'{"__metadata__": {"foldwise": 3}}', b'{"__metadata__": {"foldwise": "[]"}}',
           b'{"__metadata__": {"foldwise": "{\\"format\\": \\"foldwise-1\\"}"}}']  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_of_another_kind_is_refused(path, header):
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert str(path) in line_of(path)
