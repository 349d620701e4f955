"""CHGNet's parameter names and ours: pretrained weights in, stock-compatible weights out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.network.chgnet import FlatCHGNet

_PRETRAINED_FILE = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"
_READOUT_LAYERS = (0, 2, 4, 7)  # CHGNet's MLP has a dropout before its last linear layer


def _renamed(model: FlatCHGNet) -> dict[str, str]:
    """Our name to CHGNet's, for every parameter that both keep in the same shape."""
    names = {
        "atom_embedding.weight": "atom_embedding.embedding.weight",
        "atom_basis.frequencies": "bond_basis_expansion.rbf_expansion_ag.frequencies",
        "bond_basis.frequencies": "bond_basis_expansion.rbf_expansion_bg.frequencies",
        "angle_basis.frequencies": "angle_basis_expansion.fourier_expansion.frequencies",
        "bond_embedding.weight": "bond_embedding.weight",
        "atom_weights.weight": "bond_weights_ag.weight",
        "bond_weights.weight": "bond_weights_bg.weight",
        "angle_embedding.weight": "angle_embedding.weight",
        "readout_norm.weight": "readout_norm.weight",
        "readout_norm.bias": "readout_norm.bias",
    }
    for ours, theirs in zip((0, 2, 4, 6), _READOUT_LAYERS, strict=True):
        for kind in ("weight", "bias"):
            names[f"readout.{ours}.{kind}"] = f"mlp.layers.{theirs}.{kind}"
    for prefix, stock in _gated_layers(model):
        for half, norm in (("core", "bn1"), ("gate", "bn2")):
            for kind in ("weight", "bias"):
                names[f"{prefix}.messages.{half}_norm.{kind}"] = f"{stock}.{norm}.{kind}"
                if not prefix.startswith("angle"):
                    names[f"{prefix}.messages.{half}.{kind}"] = (
                        f"{stock}.mlp_{half}.layers.3.{kind}"
                    )
        if not prefix.startswith("angle"):
            outer = stock.rsplit(".", 1)[0]
            names[f"{prefix}.out.weight"] = f"{outer}.mlp_out.layers.1.weight"
    return names


def _gated_layers(model: FlatCHGNet) -> list[tuple[str, str]]:
    kinds = (
        ("atom_convs", "atom_conv_layers", "twoBody_atom", len(model.atom_convs)),
        ("bond_convs", "bond_conv_layers", "twoBody_bond", len(model.bond_convs)),
        ("angle_updates", "angle_layers", "twoBody_bond", len(model.angle_updates)),
    )
    return [
        (f"{ours}.{index}", f"{theirs}.{index}.{gated}")
        for ours, theirs, gated, count in kinds
        for index in range(count)
    ]


def _first_layer(stock: str) -> int:
    """Position of the first linear layer in CHGNet's MLP: a dropout precedes a lone one."""
    return 1 if stock.startswith("angle_layers") else 0


def from_chgnet(model: FlatCHGNet, stock_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of `model` from a CHGNet state dict; CHGNet's unused layers are dropped.

    Raises:
        FoldwiseError: The state dict belongs to a network of another shape.
    """
    try:
        state = {ours: stock_state[theirs] for ours, theirs in _renamed(model).items()}
        for prefix, stock in _gated_layers(model):
            at = _first_layer(stock)
            halves = [f"{stock}.mlp_{half}.layers.{at}" for half in ("core", "gate")]
            weight = torch.cat([stock_state[f"{half}.weight"] for half in halves])
            blocks = weight.reshape(len(weight), -1, model.spec.width).transpose(0, 1)
            state[f"{prefix}.messages.input_weight"] = blocks.contiguous()
            state[f"{prefix}.messages.input_bias"] = torch.cat(
                [stock_state[f"{half}.bias"] for half in halves]
            )
    except (KeyError, RuntimeError) as error:
        raise FoldwiseError(
            f"the weights do not fit the network ({error})",
            where="CHGNet state dict",
            hint="Use weights of CHGNet 0.3.0's architecture.",
        ) from error
    return state


def to_chgnet(model: FlatCHGNet) -> dict[str, Tensor]:
    """CHGNet-named copy of the weights: `CHGNet.load_state_dict(…, strict=False)` takes it."""
    state = model.state_dict()
    stock_state = {theirs: state[ours].clone() for ours, theirs in _renamed(model).items()}
    for prefix, stock in _gated_layers(model):
        at = _first_layer(stock)
        blocks = state[f"{prefix}.messages.input_weight"].transpose(0, 1)
        weight = blocks.reshape(len(blocks), -1)
        bias = state[f"{prefix}.messages.input_bias"]
        for half, rows in (
            ("core", slice(0, model.spec.width)),
            ("gate", slice(model.spec.width, None)),
        ):
            stock_state[f"{stock}.mlp_{half}.layers.{at}.weight"] = weight[rows].clone()
            stock_state[f"{stock}.mlp_{half}.layers.{at}.bias"] = bias[rows].clone()
    return stock_state


def pretrained_state(model: FlatCHGNet) -> dict[str, Tensor]:
    """CHGNet 0.3.0's weights, read from the installed chgnet package without importing it.

    Raises:
        FoldwiseError: chgnet is not installed, or `model` is not of CHGNet's size.
    """
    package = importlib.util.find_spec("chgnet")
    if package is None or package.origin is None:
        raise FoldwiseError(
            "the chgnet package is not installed",
            where="init: pretrained",
            hint="Install it, or train with init: scratch.",
        )
    path = Path(package.origin).parent / _PRETRAINED_FILE
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return from_chgnet(model, checkpoint["model"]["state_dict"])
