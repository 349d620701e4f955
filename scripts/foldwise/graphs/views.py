"""Views of crystals: slightly displaced and strained copies, made on the device as batches.

They are made from the stored graphs, whose skin holds every edge and angle that a view can bring
inside the model's radii. For that a pair of atoms may come closer by the skin's width at most:
`2 * displacement + radius * strain` stays below it at both radii. A view's graph is then that of
the changed crystal, without a search for neighbours.

Random numbers depend only on a key and a position, on any device and in any batch: a generator with
a state would give a crystal other numbers in another batch or after a resumed epoch. They are those
of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which hashes a counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from foldwise.crystals.neighbors import ATOM_CUTOFF, ATOM_SKIN_CUTOFF, BOND_CUTOFF, BOND_SKIN_CUTOFF
from foldwise.graphs.batch import GraphBatch, SkinBatch
from foldwise.graphs.sources import SkinSource

# A vector at the skin's edge shrinks by its length times the strain's norm at most.
MAX_STRAIN = 0.03  # Frobenius norm; leaves half of the narrower skin to the displacements
MIN_LENGTH = 0.9  # of the relaxed length, for every edge
_SKINS = ((ATOM_CUTOFF, ATOM_SKIN_CUTOFF), (BOND_CUTOFF, BOND_SKIN_CUTOFF))
TEST_EPOCH = 0  # of the views at test time; trainings count from 1
_STRAIN_NUMBERS = 9  # random numbers of a crystal before those of its atoms


@dataclass(frozen=True)
class Strength:
    """How views differ from their crystal.

    Attributes:
        displacement: Standard deviation of each Cartesian coordinate, Å, before the bounds.
        strain: Standard deviation of each component of the strain, which is then made symmetric.
    """

    displacement: float
    strain: float


class Distortion(NamedTuple):
    """What is done to the crystals of a batch.

    Attributes:
        strain: Symmetric, float64, [n_crystals, 3, 3]; the lattice becomes `lattice (1 + strain)`.
        moves: Å, after the strain, float64, [n_atoms, 3].
    """

    strain: Tensor
    moves: Tensor


class View:
    """One view of every crystal, as a source of batches.

    Args:
        views: The views that it is one of.
        epoch: Its epoch.
        number: Its number.
    """

    def __init__(self, views: Views, epoch: int, number: int) -> None:
        self.device, self.sizes = views.source.device, views.source.sizes
        self.atoms = views.source.atoms
        self._views, self._epoch, self._number = views, epoch, number

    def batch(self, rows: Tensor) -> GraphBatch:
        """Graphs of the view of the crystals at `rows` (int64, [n_crystals])."""
        skin = self._views.source.skin(rows)
        return distorted(skin, self._views.distortion(skin, rows, self._epoch, self._number))


class Views:
    """Views of a store's crystals; which ones, the seed, the epoch and the crystal's id decide.

    Args:
        source: Graphs with their skin.
        ids: Crystal ids of the store.
        strength: How far the views go.
        seed: Another seed gives other views.
    """

    def __init__(
        self, source: SkinSource, ids: Sequence[str], strength: Strength, seed: int
    ) -> None:
        self.source, self.strength = source, strength
        self._keys = derived(keys_of(ids, source.device), seed)

    def at(self, epoch: int, number: int) -> View:
        """View `number` of an epoch."""
        return View(self, epoch, number)

    def distortion(self, skin: SkinBatch, rows: Tensor, epoch: int, number: int) -> Distortion:
        """What view `number` of an epoch does to the crystals at `rows`."""
        keys = derived(derived(self._keys[rows], epoch), number)
        return bounded_distortion(skin, keys, self.strength)


def bounded_distortion(skin: SkinBatch, keys: Tensor, strength: Strength) -> Distortion:
    """A random distortion per crystal that leaves nothing outside the skin.

    Args:
        skin: The crystals.
        keys: Key of each crystal's random numbers, int64, [n_crystals].
        strength: How far the views go, before the bounds.
    """
    owner = skin.graph.crystal_of_atom
    places = torch.arange(_STRAIN_NUMBERS, device=keys.device).expand(len(keys), -1)
    random = normals(keys[:, None], places).reshape(-1, 3, 3) * strength.strain
    strain = (random + random.transpose(1, 2)) / 2
    norm = strain.square().sum(dim=(1, 2)).sqrt()
    strain = strain * _limit(MAX_STRAIN, norm)[:, None, None]
    norm = norm.clamp(max=MAX_STRAIN)
    room = torch.stack([(outer - inner - outer * norm) / 2 for inner, outer in _SKINS]).amin(0)
    counts = skin.graph.n_atoms.long()
    first = torch.cumsum(counts, 0) - counts
    local = torch.arange(len(owner), device=owner.device) - first[owner]
    places = _STRAIN_NUMBERS + 3 * local[:, None] + torch.arange(3, device=owner.device)
    moves = normals(keys[owner, None], places) * strength.displacement
    moves = moves * _limit(room[owner], moves.norm(dim=1))[:, None]
    shrunk = _without_collisions(skin, Distortion(strain, moves))
    return Distortion(strain, moves * shrunk[owner, None])


def distorted(skin: SkinBatch, distortion: Distortion) -> GraphBatch:
    """The graphs of the distorted crystals at the model's own radii."""
    vectors = _strained_vectors(skin, distortion.strain) + _relative_moves(skin, distortion.moves)
    lengths = vectors.norm(dim=1)
    short = skin.graph.short_edges
    unit = vectors[short] / lengths[short, None]
    cosine = (unit[skin.graph.angle_left] * unit[skin.graph.angle_right]).sum(dim=1)
    cosine = (skin.angle_sign * cosine).clamp(-1.0, 1.0)
    # The shrinkage of CHGNet's AngleEncoder, as in foldwise.crystals.neighbors.
    return _inside(skin.graph, lengths, torch.acos(cosine * (1 - 1e-6)))


def _limit(allowed: Tensor | float, norm: Tensor) -> Tensor:
    """Factor that brings `norm` down to what is allowed; 1 where it is small enough."""
    return (allowed / norm.clamp(min=1e-12)).clamp(max=1.0)


def _strained_vectors(skin: SkinBatch, strain: Tensor) -> Tensor:
    graph = skin.graph
    lattice = skin.lattice + skin.lattice @ strain
    difference = skin.frac[graph.edge_first] - skin.frac[graph.edge_second] - skin.edge_image
    of_edge = lattice[graph.crystal_of_atom[graph.edge_first]]
    return torch.einsum("ei,eij->ej", difference, of_edge)


def _relative_moves(skin: SkinBatch, moves: Tensor) -> Tensor:
    return moves[skin.graph.edge_first] - moves[skin.graph.edge_second]


def _without_collisions(skin: SkinBatch, distortion: Distortion) -> Tensor:
    """Factor of each crystal's moves with which no edge falls below `MIN_LENGTH`, [n_crystals].

    The strain alone shortens an edge by less than that, so there always is one.
    """
    strained = _strained_vectors(skin, distortion.strain).norm(dim=1)
    room = strained - MIN_LENGTH * skin.graph.edge_length.double()
    factor = _limit(room, _relative_moves(skin, distortion.moves).norm(dim=1))
    owner = skin.graph.crystal_of_atom[skin.graph.edge_first]
    smallest = torch.ones(len(skin.lattice), dtype=factor.dtype, device=factor.device)
    return smallest.scatter_reduce(0, owner, factor, "amin")


def _inside(graph: GraphBatch, lengths: Tensor, theta: Tensor) -> GraphBatch:
    """What lies inside the model's radii; the rest of the skin would only cost time."""
    edges = lengths <= ATOM_CUTOFF
    bonds = lengths[graph.short_edges] <= BOND_CUTOFF
    angles = bonds[graph.angle_left] & bonds[graph.angle_right]
    new_edge, new_bond = torch.cumsum(edges, 0) - 1, torch.cumsum(bonds, 0) - 1
    first, centre = graph.edge_first[edges], graph.angle_centre[angles]
    return graph._replace(
        n_edges=_count(graph, first),
        n_angles=_count(graph, centre),
        edge_first=first,
        edge_second=graph.edge_second[edges],
        edge_length=lengths[edges].float(),
        short_edges=new_edge[graph.short_edges[bonds]],
        angle_left=new_bond[graph.angle_left[angles]],
        angle_right=new_bond[graph.angle_right[angles]],
        angle_centre=centre,
        angle_theta=theta[angles].float(),
    )


def _count(graph: GraphBatch, atoms: Tensor) -> Tensor:
    """How many of `atoms` belong to each crystal, int64, [n_crystals]."""
    return torch.bincount(graph.crystal_of_atom[atoms], minlength=len(graph.n_atoms))


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
