"""Batches: the graphs of any set of crystals as one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class GraphBatch(NamedTuple):
    """Graphs of several crystals joined into one; indices count through the whole batch.

    Attributes:
        species: Atomic number minus one, int64, [n_atoms].
        crystal_of_atom: int64, [n_atoms].
        n_atoms: Atoms per crystal, float32, [n_crystals].
        n_edges: Edges per crystal, int64, [n_crystals].
        n_angles: Angles per crystal, int64, [n_crystals].
        edge_first: First atom of each undirected edge, int64, [n_edges].
        edge_second: Second atom, int64, [n_edges].
        edge_length: Å, float32, [n_edges].
        short_edges: Edges of the bond graph, int64, [n_short].
        angle_left: Position in `short_edges` of the edge that receives the angle's message, int64,
            [n_angles].
        angle_right: Position in `short_edges` of the other edge, int64, [n_angles].
        angle_centre: Atom that both edges share, int64, [n_angles].
        angle_theta: Radians, float32, [n_angles].
    """

    species: Tensor
    crystal_of_atom: Tensor
    n_atoms: Tensor
    n_edges: Tensor
    n_angles: Tensor
    edge_first: Tensor
    edge_second: Tensor
    edge_length: Tensor
    short_edges: Tensor
    angle_left: Tensor
    angle_right: Tensor
    angle_centre: Tensor
    angle_theta: Tensor


class SkinBatch(NamedTuple):
    """Graphs of several crystals at the skin radii, and what lengths and angles come from.

    The vector of an edge is `frac[first] - frac[second] - edge_image`, times the lattice.

    Attributes:
        graph: All edges and angles of the store.
        frac: Fractional coordinates, float64, [n_atoms, 3].
        lattice: Lattice vectors as rows in Å, float64, [n_crystals, 3, 3].
        edge_image: float64, [n_edges, 3].
        angle_sign: -1 where an angle takes one of its bonds along the edge's vector and the other
            against it, else 1; float64, [n_angles].
    """

    graph: GraphBatch
    frac: Tensor
    lattice: Tensor
    edge_image: Tensor
    angle_sign: Tensor


def _repeated(values: Tensor, counts: Tensor, total: int) -> Tensor:
    """Every value as often as its count says; `total`, their sum, spares a wait for the device."""
    return torch.repeat_interleave(values, counts, dim=0, output_size=total)


def ranges(starts: Tensor, counts: Tensor, total: int) -> Tensor:
    """Positions `starts[k] … starts[k] + counts[k]` one after the other, [total]."""
    before = torch.cumsum(counts, 0) - counts
    ramp = torch.arange(total, device=counts.device)
    return ramp + _repeated(starts - before, counts, total)


class Pieces(NamedTuple):
    """Rows of a batch as they stand in the store: indices local to their crystal."""

    numbers: Tensor
    edge_atoms: Tensor
    edge_length: Tensor
    angle_edges: Tensor
    angle_theta: Tensor


def join_pieces(pieces: Pieces, n_atoms: Tensor, core: Tensor, n_short: int) -> GraphBatch:
    """Shift the local indices of the pieces to indices of the batch with `n_short` short edges."""
    first_atom = torch.cumsum(n_atoms, 0) - n_atoms
    first_edge, first_short = (torch.cumsum(core, 0) - core)[:, :2].unbind(1)
    crystals = torch.arange(len(n_atoms), device=n_atoms.device)
    short_edges = ranges(first_edge, core[:, 1], n_short)
    n_edges, n_angles = len(pieces.edge_length), len(pieces.angle_theta)
    edge_atoms = pieces.edge_atoms.long() + _repeated(first_atom, core[:, 0], n_edges)[:, None]
    directed = pieces.angle_edges.long()
    bonds = (directed >> 1) + _repeated(first_short, core[:, 2], n_angles)[:, None]
    return GraphBatch(
        species=pieces.numbers.long() - 1,
        crystal_of_atom=_repeated(crystals, n_atoms, len(pieces.numbers)),
        n_atoms=n_atoms.float(),
        n_edges=core[:, 0],
        n_angles=core[:, 2],
        edge_first=edge_atoms[:, 0].contiguous(),
        edge_second=edge_atoms[:, 1].contiguous(),
        edge_length=pieces.edge_length,
        short_edges=short_edges,
        angle_left=bonds[:, 0].contiguous(),
        angle_right=bonds[:, 1].contiguous(),
        angle_centre=edge_atoms[short_edges[bonds[:, 0]], directed[:, 0] & 1],
        angle_theta=pieces.angle_theta,
    )


def join_skin_pieces(
    pieces: Pieces, n_atoms: Tensor, counts: Tensor, n_short: int, geometry: Sequence[Tensor]
) -> SkinBatch:
    """`geometry` holds the rows of frac, edge_image and lattice."""
    frac, image, lattice = (part.double() for part in geometry)
    opposite = (pieces.angle_edges[:, 0] ^ pieces.angle_edges[:, 1]) & 1
    graph = join_pieces(pieces, n_atoms, counts, n_short)
    return SkinBatch(graph, frac, lattice, image, 1.0 - 2.0 * opposite)
