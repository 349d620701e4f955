"""CHGNet for energies on flat batches: the same function as the original, in far fewer operations.

The architecture is that of CHGNet 0.3.0 (Deng et al., Nature Machine Intelligence 5, 1031, 2023).
These make it fast and change no output beyond rounding:

* The first layer of a gated MLP acts on a concatenation of atom, bond and angle features. Its
  weight splits into one block per input, and each block is multiplied *before* its rows are
  gathered to the edges or angles: `W [a; b; c] = Wa a + Wb b + Wc c`.
* The two directions of an undirected edge share the bond block.
* Angles join bonds of at most 3 Å: the bond graph's layers work on those alone.
* The last angle update, the site-wise (magnetic moment) head and the gradients of the lattice
  never reach the energy and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldwise.graphs.batch import GraphBatch
from foldwise.network.basis import AngularBasis, RadialBasis
from foldwise.network.kernels.functions import (
    AngleMessages,
    AtomConvMessages,
    GatedWeights,
    split_by_crystal,
)
from foldwise.network.kernels.library import load_kernels

N_ELEMENTS = 94  # CHGNet embeds hydrogen (Z = 1) to plutonium (Z = 94)


@dataclass(frozen=True)
class ModelSpec:
    """Size of the network; the defaults are CHGNet 0.3.0's.

    Attributes:
        width: Features per atom, bond and angle.
        n_conv: Interaction blocks.
        n_radial: Bessel functions per bond.
        n_angular: Fourier functions per angle (odd).
    """

    width: int = 64
    n_conv: int = 4
    n_radial: int = 31
    n_angular: int = 31


MODELS = {"chgnet": ModelSpec(), "chgnet_lite": ModelSpec(width=32, n_conv=3)}


_kernels_enabled = ContextVar("kernels_enabled", default=True)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Leave the fused CPU kernels out of every forward pass inside the block."""
    token = _kernels_enabled.set(False)
    try:
        yield
    finally:
        _kernels_enabled.reset(token)


def uses_kernels(features: Tensor) -> bool:
    """Whether the fused CPU kernels apply: float32 on a CPU, where a compiler was found."""
    if torch.compiler.is_compiling():
        return False
    if features.device.type != "cpu" or features.dtype != torch.float32:
        return False
    return _kernels_enabled.get() and load_kernels(features.shape[1]) is not None


class GatedMLP(nn.Module):
    """`silu(norm(core)) * sigmoid(norm(gate))`; both halves share the first layer's weights.

    Args:
        n_inputs: Number of feature blocks that the first layer receives, each `width` wide.
        width: Features in and out.
        hidden: Whether a hidden layer stands between input and output (not in angle updates).
    """

    def __init__(self, n_inputs: int, width: int, *, hidden: bool) -> None:
        super().__init__()
        self.width = width
        bound = (n_inputs * width) ** -0.5
        self.input_weight = nn.Parameter(
            torch.empty(n_inputs, 2 * width, width).uniform_(-bound, bound)
        )
        self.input_bias = nn.Parameter(torch.empty(2 * width).uniform_(-bound, bound))
        if hidden:
            self.core: nn.Linear | None = nn.Linear(width, width)
            self.gate: nn.Linear | None = nn.Linear(width, width)
        else:
            self.core = self.gate = None
        self.core_norm = nn.LayerNorm(width)
        self.gate_norm = nn.LayerNorm(width)

    def project(self, block: int, features: Tensor) -> Tensor:
        """Input block `block` of the first layer, [n, width] to [n, 2 * width]."""
        return features @ self.input_weight[block].T

    def weights(self, block: int) -> GatedWeights:
        """The weights as the CPU kernels take them; `block` is the input that they project."""
        core, gate = self.core, self.gate
        return GatedWeights(
            self.input_weight[block],
            None if core is None else core.weight,
            None if core is None else core.bias,
            None if gate is None else gate.weight,
            None if gate is None else gate.bias,
            self.core_norm.weight,
            self.core_norm.bias,
            self.gate_norm.weight,
            self.gate_norm.bias,
        )

    def forward(self, projected: Tensor) -> Tensor:
        """Sum of the gathered projections, [m, 2 * width], to messages, [m, width]."""
        core, gate = projected[:, : self.width], projected[:, self.width :]
        if self.core is not None and self.gate is not None:
            core = self.core(functional.silu(core))
            gate = self.gate(functional.silu(gate))
        exact = self.core_norm.weight.dtype  # norms and gates, also where products are shorter
        core, gate = self.core_norm(core.to(exact)), self.gate_norm(gate.to(exact))
        return functional.silu(core) * torch.sigmoid(gate)


class AtomConv(nn.Module):
    """Messages along both directions of every edge, summed at their centre atoms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.messages = GatedMLP(3, width, hidden=True)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, weights: Tensor, batch: GraphBatch) -> Tensor:
        """New atom features, [n_atoms, width]."""
        centre = self.messages.project(0, atoms) + self.messages.input_bias
        neighbour = self.messages.project(2, atoms)
        first, second = batch.edge_first, batch.edge_second
        if uses_kernels(atoms):
            summed = AtomConvMessages.apply(  # type: ignore[no-untyped-call]
                torch.is_grad_enabled(),
                split_by_crystal(batch.n_edges),
                *(first, second, centre, neighbour, bonds, weights),
                *self.messages.weights(1),
            )
        else:
            bond = self.messages.project(1, bonds)
            forward = centre.index_select(0, first) + neighbour.index_select(0, second) + bond
            backward = centre.index_select(0, second) + neighbour.index_select(0, first) + bond
            summed = torch.zeros_like(atoms)
            summed = summed.index_add(0, first, self.messages(forward) * weights)
            summed = summed.index_add(0, second, self.messages(backward) * weights)
        result: Tensor = atoms + self.out(summed)
        return result


class AngleLayer(nn.Module):
    """What a bond convolution and an angle update have in common: a gated MLP on angles."""

    def __init__(self, width: int, *, hidden: bool) -> None:
        super().__init__()
        self.messages = GatedMLP(4, width, hidden=hidden)

    def project(self, atoms: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parts of the first layer that are gathered: left bond, right bond, centre atom."""
        left = self.messages.project(0, bonds) + self.messages.input_bias
        return left, self.messages.project(1, bonds), self.messages.project(3, atoms)

    def fused(
        self,
        parts: tuple[Tensor, Tensor, Tensor],
        angles: Tensor,
        envelope: Tensor | None,
        batch: GraphBatch,
    ) -> Tensor:
        """Sum at the left bonds (with an envelope) or updated angles, by the CPU kernels."""
        result: Tensor = AngleMessages.apply(  # type: ignore[no-untyped-call]
            torch.is_grad_enabled(),
            split_by_crystal(batch.n_angles),
            envelope,
            *(batch.angle_left, batch.angle_right, batch.angle_centre),
            *parts,
            angles,
            *self.messages.weights(2),
        )
        return result

    def gathered(
        self, parts: tuple[Tensor, Tensor, Tensor], angles: Tensor, batch: GraphBatch
    ) -> Tensor:
        """Messages of all angles, [n_angles, width], in plain PyTorch."""
        left, right, centre = parts
        result: Tensor = self.messages(
            self.messages.project(2, angles)
            + left.index_select(0, batch.angle_left)
            + right.index_select(0, batch.angle_right)
            + centre.index_select(0, batch.angle_centre)
        )
        return result


class BondConv(AngleLayer):
    """Messages from every angle to its left bond."""

    def __init__(self, width: int) -> None:
        super().__init__(width, hidden=True)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, atoms: Tensor, bonds: Tensor, angles: Tensor, weights: Tensor, batch: GraphBatch
    ) -> Tensor:
        """New features of the short bonds, [n_short, width]."""
        parts = self.project(atoms, bonds)
        if uses_kernels(atoms):
            summed = self.fused(parts, angles, weights, batch)
        else:
            left, right = batch.angle_left, batch.angle_right
            messages = self.gathered(parts, angles, batch)
            messages = messages * weights.index_select(0, left) * weights.index_select(0, right)
            summed = torch.zeros_like(bonds).index_add(0, left, messages)
        result: Tensor = bonds + self.out(summed)
        return result


class AngleUpdate(AngleLayer):
    """Every angle from its two bonds and its centre atom."""

    def __init__(self, width: int) -> None:
        super().__init__(width, hidden=False)

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, batch: GraphBatch) -> Tensor:
        """New angle features, [n_angles, width]."""
        parts = self.project(atoms, bonds)
        if uses_kernels(atoms):
            return self.fused(parts, angles, None, batch)
        return angles + self.gathered(parts, angles, batch)


class FlatCHGNet(nn.Module):
    """Energy per atom of a batch of crystals.

    Args:
        spec: Size of the network.
        atom_cutoff: Radius of the atom graph in Å.
        bond_cutoff: Radius of the bond graph in Å.

    Attributes:
        accelerator: Runs in place of `energies`, where one is set.
    """

    def __init__(self, spec: ModelSpec, atom_cutoff: float = 6.0, bond_cutoff: float = 3.0) -> None:
        super().__init__()
        self.spec = spec
        self.accelerator: Callable[[GraphBatch], Tensor] | None = None
        width = spec.width
        self.atom_embedding = nn.Embedding(N_ELEMENTS, width)
        self.atom_basis = RadialBasis(spec.n_radial, atom_cutoff)
        self.bond_basis = RadialBasis(spec.n_radial, bond_cutoff)
        self.angle_basis = AngularBasis(spec.n_angular)
        self.bond_embedding = nn.Linear(spec.n_radial, width, bias=False)
        self.atom_weights = nn.Linear(spec.n_radial, width, bias=False)
        self.bond_weights = nn.Linear(spec.n_radial, width, bias=False)
        self.angle_embedding = nn.Linear(spec.n_angular, width, bias=False)
        self.atom_convs = nn.ModuleList(AtomConv(width) for _ in range(spec.n_conv))
        self.bond_convs = nn.ModuleList(BondConv(width) for _ in range(spec.n_conv - 1))
        self.angle_updates = nn.ModuleList(AngleUpdate(width) for _ in range(spec.n_conv - 2))
        self.readout_norm = nn.LayerNorm(width)
        hidden = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.SiLU())]
        self.readout = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, batch: GraphBatch) -> Tensor:
        """Energy per atom relative to the element reference, eV/atom, [n_crystals]."""
        return self.energies(batch) if self.accelerator is None else self.accelerator(batch)

    def energies(self, batch: GraphBatch) -> Tensor:
        """As `forward`, in plain PyTorch or by the fused CPU kernels."""
        features = self.features(batch)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 ends at 4 meV/atom
            return mean_of_atoms(self.readout(features.to(self.readout_norm.weight.dtype)), batch)

    def features(self, batch: GraphBatch) -> Tensor:
        """What a head sees of every atom, [n_atoms, width]."""
        atoms = self.atom_embedding(batch.species)
        basis = self.atom_basis(batch.edge_length)
        # Features keep their precision where autocast makes matrix products shorter.
        bonds = self.bond_embedding(basis).to(atoms.dtype)
        weights = self.atom_weights(basis)
        short_basis = self.bond_basis(batch.edge_length.index_select(0, batch.short_edges))
        short_weights = self.bond_weights(short_basis)
        angles = self.angle_embedding(self.angle_basis(batch.angle_theta)).to(atoms.dtype)
        for block, atom_conv in enumerate(self.atom_convs):
            atoms = atom_conv(atoms, bonds, weights, batch)
            if block < len(self.bond_convs):
                short = bonds.index_select(0, batch.short_edges)
                short = self.bond_convs[block](atoms, short, angles, short_weights, batch)
                bonds = bonds.index_copy(0, batch.short_edges, short)
            if block < len(self.angle_updates):
                angles = self.angle_updates[block](atoms, short, angles, batch)
        normalised: Tensor = self.readout_norm(atoms)
        return normalised


def mean_of_atoms(values: Tensor, batch: GraphBatch) -> Tensor:
    """Mean over the atoms of every crystal, [n_atoms, 1] to [n_crystals]."""
    total = torch.zeros_like(batch.n_atoms, dtype=values.dtype)
    return total.index_add(0, batch.crystal_of_atom, values.squeeze(1)) / batch.n_atoms
