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

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldwise.batch import GraphBatch

N_ELEMENTS = 94  # CHGNet embeds hydrogen (Z = 1) to plutonium (Z = 94)
ENVELOPE_POWER = 8  # CHGNet 0.3.0's `cutoff_coeff`


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


class GatedMLP(nn.Module):
    """`silu(norm(core)) * sigmoid(norm(gate))`; both halves share one set of stacked weights.

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
            bound = width**-0.5
            self.core = nn.Linear(width, width)
            self.gate = nn.Linear(width, width)
        else:
            self.core = self.gate = None  # type: ignore[assignment]
        self.core_norm = nn.LayerNorm(width)
        self.gate_norm = nn.LayerNorm(width)

    def project(self, block: int, features: Tensor) -> Tensor:
        """Input block `block` of the first layer, [n, width] to [n, 2 * width], before gathering."""
        return features @ self.input_weight[block].T

    def forward(self, projected: Tensor) -> Tensor:
        """Sum of the gathered projections, [m, 2 * width], to messages, [m, width]."""
        core, gate = projected.split(self.width, dim=1)
        if self.core is not None:
            core = self.core(functional.silu(core))
            gate = self.gate(functional.silu(gate))
        return functional.silu(self.core_norm(core)) * torch.sigmoid(self.gate_norm(gate))


def envelope(scaled: Tensor) -> Tensor:
    """Polynomial cut-off of DimeNet (Gasteiger et al. 2020, eq. 8), 1 at 0 and 0 from 1 on."""
    p = ENVELOPE_POWER
    power = scaled**p
    value = 1 + power * (
        -(p + 1) * (p + 2) / 2 + scaled * (p * (p + 2) - scaled * (p * (p + 1) / 2))
    )
    return torch.where(scaled < 1, value, torch.zeros_like(value))


class RadialBasis(nn.Module):
    """Enveloped spherical Bessel functions of a bond length in Å, [n] to [n, n_radial]."""

    def __init__(self, n_radial: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.frequencies = nn.Parameter(torch.pi * torch.arange(1, n_radial + 1).float())

    def forward(self, length: Tensor) -> Tensor:
        """Basis values, [n, n_radial]."""
        scaled = length / self.cutoff
        factor = (2 / self.cutoff) ** 0.5 * envelope(scaled) / length
        return factor[:, None] * torch.sin(scaled[:, None] * self.frequencies)


class AngularBasis(nn.Module):
    """Fourier series of an angle in radians, [n] to [n, n_angular]."""

    def __init__(self, n_angular: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1, (n_angular - 1) // 2 + 1).float())

    def forward(self, theta: Tensor) -> Tensor:
        """Basis values: a constant, the sines, the cosines; [n, n_angular]."""
        phase = theta[:, None] * self.frequencies
        constant = torch.full_like(theta[:, None], 0.5**0.5)
        return torch.cat([constant, torch.sin(phase), torch.cos(phase)], dim=1) / torch.pi**0.5


class AtomConv(nn.Module):
    """Messages along both directions of every edge, summed at their centre atoms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.messages = GatedMLP(3, width, hidden=True)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, weights: Tensor, batch: GraphBatch) -> Tensor:
        """New atom features, [n_atoms, width]."""
        centre = self.messages.project(0, atoms) + self.messages.input_bias
        bond = self.messages.project(1, bonds)
        neighbour = self.messages.project(2, atoms)
        first, second = batch.edge_first, batch.edge_second
        forward = centre.index_select(0, first) + neighbour.index_select(0, second) + bond
        backward = centre.index_select(0, second) + neighbour.index_select(0, first) + bond
        summed = torch.zeros_like(atoms)
        summed = summed.index_add(0, first, self.messages(forward) * weights)
        summed = summed.index_add(0, second, self.messages(backward) * weights)
        return atoms + self.out(summed)


class BondConv(nn.Module):
    """Messages from every angle to its first bond."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.messages = GatedMLP(4, width, hidden=True)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, atoms: Tensor, bonds: Tensor, angles: Tensor, weights: Tensor, batch: GraphBatch
    ) -> Tensor:
        """New features of the short bonds, [n_short, width]."""
        gathered = _gather_angle_inputs(self.messages, atoms, bonds, angles, batch)
        left, right = batch.angle_left, batch.angle_right
        messages = self.messages(gathered)
        messages = messages * weights.index_select(0, left) * weights.index_select(0, right)
        return bonds + self.out(torch.zeros_like(bonds).index_add(0, left, messages))


class AngleUpdate(nn.Module):
    """Every angle from its two bonds and its centre atom."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.messages = GatedMLP(4, width, hidden=False)

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, batch: GraphBatch) -> Tensor:
        """New angle features, [n_angles, width]."""
        return angles + self.messages(
            _gather_angle_inputs(self.messages, atoms, bonds, angles, batch)
        )


def _gather_angle_inputs(
    gated: GatedMLP, atoms: Tensor, bonds: Tensor, angles: Tensor, batch: GraphBatch
) -> Tensor:
    left = gated.project(0, bonds) + gated.input_bias
    right = gated.project(1, bonds)
    centre = gated.project(3, atoms)
    return (
        gated.project(2, angles)
        + left.index_select(0, batch.angle_left)
        + right.index_select(0, batch.angle_right)
        + centre.index_select(0, batch.angle_centre)
    )


class FlatCHGNet(nn.Module):
    """Energy per atom of a batch of crystals.

    Args:
        spec: Size of the network.
        atom_cutoff: Radius of the atom graph in Å.
        bond_cutoff: Radius of the bond graph in Å.
    """

    def __init__(self, spec: ModelSpec, atom_cutoff: float = 6.0, bond_cutoff: float = 3.0) -> None:
        super().__init__()
        self.spec = spec
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
        self.readout = nn.Sequential(
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """Energy per atom relative to the element reference, eV/atom, [n_crystals]."""
        atoms = self.atom_embedding(batch.species)
        basis = self.atom_basis(batch.edge_length)
        bonds, weights = self.bond_embedding(basis), self.atom_weights(basis)
        short_basis = self.bond_basis(batch.edge_length.index_select(0, batch.short_edges))
        short_weights = self.bond_weights(short_basis)
        angles = self.angle_embedding(self.angle_basis(batch.angle_theta))
        for block, atom_conv in enumerate(self.atom_convs):
            atoms = atom_conv(atoms, bonds, weights, batch)
            if block < len(self.bond_convs):
                short = bonds.index_select(0, batch.short_edges)
                short = self.bond_convs[block](atoms, short, angles, short_weights, batch)
                bonds = bonds.index_copy(0, batch.short_edges, short)
            if block < len(self.angle_updates):
                angles = self.angle_updates[block](atoms, short, angles, batch)
        site = self.readout(self.readout_norm(atoms)).squeeze(1)
        total = torch.zeros_like(batch.n_atoms, dtype=site.dtype)
        return total.index_add(0, batch.crystal_of_atom, site) / batch.n_atoms
