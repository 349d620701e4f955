"""Basis functions of bond lengths and angles, as in CHGNet 0.3.0, with learnable frequencies."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ENVELOPE_POWER = 8  # CHGNet 0.3.0's `cutoff_coeff`


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
        basis: Tensor = factor[:, None] * torch.sin(scaled[:, None] * self.frequencies)
        return basis


class AngularBasis(nn.Module):
    """Fourier series of an angle in radians, [n] to [n, n_angular]."""

    def __init__(self, n_angular: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1, (n_angular - 1) // 2 + 1).float())

    def forward(self, theta: Tensor) -> Tensor:
        """Basis values: a constant, the sines, the cosines; [n, n_angular]."""
        phase = theta[:, None] * self.frequencies
        constant = torch.full_like(theta[:, None], 0.5**0.5)
        basis: Tensor = torch.cat([constant, torch.sin(phase), torch.cos(phase)], dim=1)
        normalised: Tensor = basis / torch.pi**0.5
        return normalised
