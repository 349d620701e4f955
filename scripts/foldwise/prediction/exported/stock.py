"""A trained network as the chgnet package loads it: `CHGNet.from_dict`.

The target transform moves into the weights: CHGNet adds a linear term in the atomic fractions
(its `composition_model`) to the mean over the atoms, which is what an element reference and a shift
are, and a scale multiplies the last layer. `predict_structure(structure)["e"]` is then the
prediction in target units.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from foldwise.common.files import atomic_path
from foldwise.network.checkpoint import TrainedModel
from foldwise.network.weights import to_chgnet

_LAST_LAYER = "mlp.layers.7"
_REFERENCE = "composition_model.fc.weight"


def stock_reason(model: TrainedModel, *, intensive: bool) -> str | None:
    """Why stock CHGNet cannot express the model; `None` where it can."""
    if not intensive:
        return "the target is a sum over the cell, CHGNet answers per atom"
    transform = model.transform
    if transform.link != "identity" or transform.extensive:
        return f"CHGNet has no target transform {transform.name!r}"
    if transform.low is not None:
        return f"CHGNet cannot keep its answers above {transform.low:g}"
    return None


def stock_checkpoint(model: TrainedModel) -> dict[str, Any]:
    """What `CHGNet.from_dict` takes: `model_args` and `state_dict`.

    The head for magnetic moments, which no training here touches, is zero; CHGNet's last angle
    layer never reaches the energy and repeats the one before it.
    """
    network, transform = model.network, model.transform
    state: dict[str, Tensor] = {
        name: tensor.detach().cpu().clone() for name, tensor in to_chgnet(network).items()
    }
    for kind in ("weight", "bias"):
        state[f"{_LAST_LAYER}.{kind}"] *= transform.scale
    reference = torch.from_numpy(transform.element + transform.shift)
    state[_REFERENCE] = reference.to(torch.float32).reshape(1, -1)
    unused = len(network.angle_updates)
    before = f"angle_layers.{unused - 1}."
    state |= {
        name.replace(before, f"angle_layers.{unused}."): tensor.clone()
        for name, tensor in state.items()
        if name.startswith(before)
    }
    width = network.spec.width
    state |= {"site_wise.weight": torch.zeros(1, width), "site_wise.bias": torch.zeros(1)}
    arguments = {
        **dict.fromkeys(("atom_fea_dim", "bond_fea_dim", "angle_fea_dim"), width),
        **dict.fromkeys(("atom_conv_hidden_dim", "bond_conv_hidden_dim"), width),
        "mlp_hidden_dims": (width, width, width),
        "num_radial": network.spec.n_radial,
        "num_angular": network.spec.n_angular,
        "n_conv": network.spec.n_conv,
        "atom_graph_cutoff": network.atom_basis.cutoff,
        "bond_graph_cutoff": network.bond_basis.cutoff,
        "composition_model": "MPtrj",  # a linear model of atomic fractions; its weights are ours
        "is_intensive": True,
    }
    return {"model_args": arguments, "state_dict": dict(sorted(state.items()))}


def write_stock(path: Path, model: TrainedModel) -> None:
    """Write the weights as safetensors, with CHGNet's arguments as JSON in the metadata."""
    content = stock_checkpoint(model)
    # One entry: safetensors writes several in random order.
    metadata = {"model_args": json.dumps(content["model_args"])}
    tensors = {name: tensor.contiguous() for name, tensor in content["state_dict"].items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)
