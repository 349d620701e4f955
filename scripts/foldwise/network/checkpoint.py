"""A trained model on disk: weights and target transform in one safetensors file, never pickled."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path
from foldwise.network.chgnet import MODELS, FlatCHGNet
from foldwise.network.transform import TargetTransform
from foldwise.network.weights import from_chgnet, pretrained_state, to_chgnet

_ELEMENT = "foldwise.element_reference"
_SCALARS = "foldwise.transform"  # shift, scale, train_mean, train_std
_FACTS = "foldwise"  # the one metadata entry, a JSON object
FORMAT = "foldwise-1"
_OPTIONAL = ("link", "low", "extensive")  # of the transform, written where they say something


@dataclass(frozen=True)
class TrainedModel:
    """A network and what turns its output into target units."""

    model_name: str
    network: FlatCHGNet
    transform: TargetTransform


def new_network(model_name: str, init: str) -> FlatCHGNet:
    """A network with pretrained weights, or random ones from torch's global generator."""
    network = FlatCHGNet(MODELS[model_name])
    if init == "pretrained":
        network.load_state_dict(pretrained_state(network))
    return network


def save_model(path: str | os.PathLike[str], model: TrainedModel) -> None:
    """Write the model atomically. Weights bear CHGNet's names, so that stock CHGNet loads them."""
    transform = model.transform
    tensors: dict[str, Tensor] = dict(sorted(to_chgnet(model.network).items()))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    tensors[_ELEMENT] = torch.from_numpy(transform.element)
    tensors[_SCALARS] = torch.tensor(
        [transform.shift, transform.scale, transform.train_mean, transform.train_std],
        dtype=torch.float64,
    )
    facts = {"format": FORMAT, "model": model.model_name, "transform": transform.name}
    plain = {field.name: field.default for field in fields(transform) if field.name in _OPTIONAL}
    facts |= {key: value for key in _OPTIONAL if (value := getattr(transform, key)) != plain[key]}
    # One entry: safetensors writes several in random order, and equal models get unequal bytes.
    metadata = {_FACTS: json.dumps(facts)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model.

    Raises:
        FoldwiseError: The file is missing, truncated, or no checkpoint of this project.
    """
    if not Path(path).exists():
        raise FoldwiseError(
            "the checkpoint does not exist", where=str(path), hint="Train the model first."
        )
    try:
        with safe_open(str(path), framework="pt") as archive:
            metadata = json.loads((archive.metadata() or {}).get(_FACTS, "{}"))
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FoldwiseError(
            f"the checkpoint is truncated or no safetensors file ({error})",
            where=str(path),
            hint="Delete it and train again.",
        ) from error
    if metadata.get("format") != FORMAT:
        raise FoldwiseError(
            f"not a Foldwise checkpoint: {json.dumps(metadata)}",
            where=str(path),
            hint="Give a model.safetensors that this project wrote.",
        )
    network = FlatCHGNet(MODELS[metadata["model"]])
    shift, scale, mean, std = tensors.pop(_SCALARS).tolist()
    element = np.asarray(tensors.pop(_ELEMENT).numpy(), dtype=np.float64)
    network.load_state_dict(from_chgnet(network, tensors))
    options = {key: metadata[key] for key in _OPTIONAL if key in metadata}
    transform = TargetTransform(metadata["transform"], element, shift, scale, mean, std, **options)
    return TrainedModel(metadata["model"], network, transform)
