"""A trained model on disk: weights and target transform in one safetensors file, never pickled."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path
from foldwise.common.reading import parse_json, said_by
from foldwise.common.tensors import read_tensors
from foldwise.network.chgnet import MODELS, FlatCHGNet
from foldwise.network.transform import N_ELEMENTS, TRANSFORMS, TargetTransform
from foldwise.network.weights import from_chgnet, pretrained_state, to_chgnet

_ELEMENT = "foldwise.element_reference"
_SCALARS = "foldwise.transform"  # shift, scale, train_mean, train_std
_FACTS = "foldwise"  # the one metadata entry, a JSON object
FORMAT = "foldwise-1"
_TRAIN, _DAMAGED = "Train the model first.", "Delete it and train again."
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
        FoldwiseError: The file is missing or truncated, is no checkpoint of this project, or holds
            weights that are not finite or of another shape.
    """
    where = str(path)
    if not Path(path).exists():
        raise FoldwiseError("the checkpoint does not exist", where=where, hint=_TRAIN)
    tensors, metadata = read_tensors(path, what="the checkpoint", absent=_TRAIN, broken=_DAMAGED)
    facts = parse_json(metadata.get(_FACTS, "{}"), where, _DAMAGED)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise FoldwiseError(
            f"not a Foldwise checkpoint: {json.dumps(facts)[:200]}",
            where=where,
            hint="Give a model.safetensors that this project wrote.",
        )
    try:
        network = FlatCHGNet(MODELS[facts["model"]])
        scalars = tensors.pop(_SCALARS).double().reshape(4).tolist()
        element = tensors.pop(_ELEMENT).double().reshape(N_ELEMENTS).numpy()
        network.load_state_dict(from_chgnet(network, tensors))
        options = {key: facts[key] for key in _OPTIONAL if key in facts}
        transform = TargetTransform(str(facts["transform"]), element, *scalars, **options)
        _check_options(transform)
    except (KeyError, TypeError, ValueError, RuntimeError, FoldwiseError) as error:
        said = error.what if isinstance(error, FoldwiseError) else said_by(error)
        raise FoldwiseError(
            f"the checkpoint is not whole: {said}", where=where, hint=_DAMAGED
        ) from error
    return TrainedModel(facts["model"], network, transform)


def _check_options(transform: TargetTransform) -> None:
    """Refuse what a damaged file says of a transform."""
    low = transform.low
    good = (
        transform.link in ("identity", "log10", "logit")
        and isinstance(transform.extensive, bool)
        and (low is None or (isinstance(low, int | float) and math.isfinite(low)))
        and transform.name in TRANSFORMS
    )
    if not good:
        raise ValueError("its target transform is unknown")
