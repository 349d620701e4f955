"""Random numbers that depend on a key and a position alone, on any device and in any batch.

A generator with a state would give a crystal other numbers in another batch or after a resumed
epoch. These are SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which hashes a counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def _signed(word: int) -> int:
    """A 64-bit word as the int64 of the same bits; products of int64 tensors wrap around."""
    return (word + 2**63) % 2**64 - 2**63


_GAMMA = _signed(0x9E3779B97F4A7C15)
_FACTORS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def keys_of(names: Sequence[str], device: torch.device) -> Tensor:
    """A key per name, int64, [n]: equal for equal names, everywhere."""
    digests = [hashlib.sha256(name.encode()).digest()[:8] for name in names]
    keys = [int.from_bytes(digest, "little", signed=True) for digest in digests]
    return torch.tensor(keys, dtype=torch.int64, device=device)


def derived(keys: Tensor, number: int) -> Tensor:
    """Other keys, one per key and number."""
    return _mixed(keys + _signed(_GAMMA * (number + 1)))


def normals(keys: Tensor, position: Tensor) -> Tensor:
    """Standard normal numbers by key and position (int64, of one shape), float64."""
    radius = torch.sqrt(-2.0 * torch.log(_uniform(keys, 2 * position)))
    return radius * torch.cos(2.0 * torch.pi * _uniform(keys, 2 * position + 1))


def _uniform(keys: Tensor, position: Tensor) -> Tensor:
    """Between 0 and 1, both excluded."""
    bits = _shifted(_mixed(keys + _GAMMA * (position + 1)), 11)
    return (bits.double() + 0.5) * 2.0**-53


def _mixed(value: Tensor) -> Tensor:
    for bits, factor in _FACTORS:
        value = (value ^ _shifted(value, bits)) * factor
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """To the right without the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
