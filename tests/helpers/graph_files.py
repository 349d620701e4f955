"""Small crystals as arrays, and graph stores of them, for the tests of graphs and training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.crystals.files import write_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.graphs.conversion import build_store
from foldwise.graphs.store import GraphStore


def salt(first: int = 11, second: int = 17, a: float = 4.1) -> CrystalArrays:
    """Two atoms in a cubic cell (the caesium chloride structure)."""
    frac = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    return CrystalArrays(np.array([first, second], dtype=np.int32), frac, np.eye(3) * a)


def lonely_atom(number: int = 10) -> CrystalArrays:
    """One atom whose nearest image is 9 Å away."""
    return CrystalArrays(np.array([number], dtype=np.int32), np.zeros((1, 3)), np.eye(3) * 9.0)


def structure_file(path: Path, crystals: dict[str, CrystalArrays]) -> Path:
    """A structures.npz of crystals by id."""
    write_structures(path, list(crystals), list(crystals.values()))
    return path


def salt_store(folder: Path, names: Sequence[str]) -> GraphStore:
    """A store of salts with these ids, each with its own elements and size."""
    crystals = {
        name: salt(3 + 8 * (row % 3), 9 + 8 * (row % 2), 3.9 + 0.05 * row)
        for row, name in enumerate(names)
    }
    build_store(structure_file(folder / "structures.npz", crystals), folder / "graphs")
    return GraphStore.open(folder / "graphs")


def graph_at(store: GraphStore, row: int) -> dict[str, Any]:
    """Edges and angles of one crystal of a store."""
    (_, edge, angle), (_, last_edge, last_angle) = store.offsets[row : row + 2]
    return {
        "edge_atoms": store.arrays["edge_atoms"][edge:last_edge],
        "edge_image": store.arrays["edge_image"][edge:last_edge],
        "edge_length": store.arrays["edge_length"][edge:last_edge],
        "angle_edges": store.arrays["angle_edges"][angle:last_angle],
        "angle_theta": store.arrays["angle_theta"][angle:last_angle],
    }
