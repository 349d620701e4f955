"""From one periodic structure to the edges and angles of CHGNet's two graphs, in NumPy.

CHGNet's own converter walks Python objects; this one sorts and repeats arrays. Both graphs are
built at a *skin* radius, a little beyond the radii at which the model's envelopes vanish, so that
perturbed and strained copies can be made from the stored graph: the additional edges and angles
carry zero weight until a displacement brings them inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.optimization.neighbors import find_points_in_spheres

ATOM_CUTOFF = 6.0  # Å, radius of the atom graph of CHGNet 0.3.0 (Deng et al. 2023, Methods)
BOND_CUTOFF = 3.0  # Å, radius of its bond graph
ATOM_SKIN_CUTOFF = 6.3  # Å
BOND_SKIN_CUTOFF = 3.2  # Å
_NUMERICAL_TOLERANCE = 1e-8  # Å, pymatgen's own for get_neighbor_list


class GraphError(ValueError):
    """A structure has no valid graph; the message is the reason for failures.csv."""


@dataclass(frozen=True)
class CrystalArrays:
    """One crystal as plain arrays.

    Attributes:
        numbers: Atomic numbers, int, shape [n_atoms].
        frac: Fractional coordinates, float64, shape [n_atoms, 3].
        lattice: Lattice vectors as rows in Å, float64, shape [3, 3].
    """

    numbers: NDArray[np.int32]
    frac: NDArray[np.float64]
    lattice: NDArray[np.float64]


@dataclass(frozen=True)
class CrystalGraphArrays:
    """Edges and angles of one crystal at the skin radii.

    Undirected edge `u` joins atom `edge_atoms[u, 0]` to the image `edge_image[u]` of atom
    `edge_atoms[u, 1]`. It stands for two directed edges: `2u` is centred on its first atom,
    `2u + 1` on its second. Edges are sorted by length and angles by whether both bonds are inside
    `BOND_CUTOFF`, then by their first directed edge: what the model's own radii contain is a
    prefix of either.

    Attributes:
        edge_atoms: int32, shape [n_edges, 2].
        edge_image: int8, shape [n_edges, 3].
        edge_length: Å, float32, shape [n_edges].
        angle_edges: The two directed edges of an angle, int32, shape [n_angles, 2].
        angle_theta: Radians, float32, shape [n_angles].
        core: Edges no longer than `ATOM_CUTOFF`, edges no longer than `BOND_CUTOFF`, angles whose
            bonds are no longer than `BOND_CUTOFF`.
        n_short: Edges no longer than `BOND_SKIN_CUTOFF`: those that angles refer to.
    """

    edge_atoms: NDArray[np.int32]
    edge_image: NDArray[np.int8]
    edge_length: NDArray[np.float32]
    angle_edges: NDArray[np.int32]
    angle_theta: NDArray[np.float32]
    core: tuple[int, int, int]
    n_short: int


def build_graph(crystal: CrystalArrays) -> CrystalGraphArrays:
    """Edges and angles of one crystal.

    Raises:
        GraphError: An atom has no neighbour inside `ATOM_CUTOFF`, an edge lacks its reverse, or
            atoms are more than 127 cells apart.
    """
    n_atoms = len(crystal.numbers)
    centre, neighbour, image, length = _directed_edges(crystal)
    inside = length <= ATOM_CUTOFF
    isolated = n_atoms - len(np.unique(centre[inside]))
    if isolated:
        raise GraphError(f"{isolated} isolated atom(s): no neighbour within {ATOM_CUTOFF:g} Å")
    keep = _canonical(centre, neighbour, image)
    if 2 * int(keep.sum()) != len(centre):
        raise GraphError("an edge lacks its reverse: two atoms may share one site")
    order = np.argsort(length[keep], kind="stable")
    atoms = np.stack([centre[keep], neighbour[keep]], axis=1)[order].astype(np.int32)
    if len(image) and np.abs(image).max() > np.iinfo(np.int8).max:
        raise GraphError("atoms are too many cells apart: wrap their coordinates into the cell")
    images = image[keep][order].astype(np.int8)
    lengths = length[keep][order]
    cartesian = crystal.frac @ crystal.lattice
    vectors = cartesian[atoms[:, 0]] - cartesian[atoms[:, 1]] - images @ crystal.lattice
    n_short = int(np.searchsorted(lengths, BOND_SKIN_CUTOFF, side="right"))
    angle_edges, theta, n_core_angles = _angles(
        atoms[:n_short], vectors[:n_short], lengths[:n_short]
    )
    n_core_edges, n_core_short = np.searchsorted(lengths, [ATOM_CUTOFF, BOND_CUTOFF], side="right")
    return CrystalGraphArrays(
        edge_atoms=atoms,
        edge_image=images,
        edge_length=lengths.astype(np.float32),
        angle_edges=angle_edges,
        angle_theta=theta,
        core=(int(n_core_edges), int(n_core_short), n_core_angles),
        n_short=n_short,
    )


def angle_from_cosine(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle in radians, with the shrinkage by 1e-6 that CHGNet's `AngleEncoder` applies."""
    return np.arccos(np.clip(cosine, -1.0, 1.0) * (1 - 1e-6))


def _directed_edges(
    crystal: CrystalArrays,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    cartesian = np.ascontiguousarray(crystal.frac @ crystal.lattice)
    centre, neighbour, image, length = find_points_in_spheres(
        cartesian,
        cartesian,
        r=ATOM_SKIN_CUTOFF,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(crystal.lattice),
        tol=_NUMERICAL_TOLERANCE,
    )
    real = (centre != neighbour) | (length > _NUMERICAL_TOLERANCE)
    return centre[real], neighbour[real], image[real].astype(np.int64), length[real]


def _canonical(
    centre: NDArray[np.int64], neighbour: NDArray[np.int64], image: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """True for one of each pair of opposite directed edges."""
    first_nonzero = np.where(
        image[:, 0] != 0, image[:, 0], np.where(image[:, 1] != 0, image[:, 1], image[:, 2])
    )
    mask: NDArray[np.bool_] = (centre < neighbour) | ((centre == neighbour) & (first_nonzero > 0))
    return mask


def _angles(
    atoms: NDArray[np.int32], vectors: NDArray[np.float64], lengths: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """All ordered pairs of short directed edges around one atom."""
    centre = atoms.reshape(-1)  # directed edge 2u + s is centred on atoms[u, s]
    by_centre = np.argsort(centre, kind="stable")
    _, group_start, group_size = np.unique(centre[by_centre], return_index=True, return_counts=True)
    size_of = np.repeat(group_size, group_size)
    start_of = np.repeat(group_start, group_size)
    first = np.repeat(np.arange(len(by_centre)), size_of)
    ramp = np.arange(len(first)) - np.repeat(np.cumsum(size_of) - size_of, size_of)
    second = np.repeat(start_of, size_of) + ramp
    distinct = first != second
    left, right = by_centre[first[distinct]], by_centre[second[distinct]]
    longer = np.maximum(lengths[left // 2], lengths[right // 2])
    in_skin = longer > BOND_CUTOFF
    order = np.lexsort((right, left, in_skin))
    left, right = left[order], right[order]
    unit = vectors / lengths[:, None]
    sign = 1 - 2 * ((left ^ right) & 1)
    cosine = sign * np.einsum("ij,ij->i", unit[left // 2], unit[right // 2])
    pairs = np.stack([left, right], axis=1).astype(np.int32)
    return pairs, angle_from_cosine(cosine).astype(np.float32), int((~in_skin).sum())
