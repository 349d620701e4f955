"""Small crystals and Matbench-format files for the tests of the dataset stage."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foldwise.crystals.neighbors import build_graph
from foldwise.crystals.parsing import parse_structure
from foldwise.graphs.store import GraphColumns, GraphStore, write_store
from foldwise.tasks.dataset import DatasetSpec
from paths import REPOSITORY

SHARED_DATA = REPOSITORY.parent / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason=f"the real data are not at {SHARED_DATA}"
)


def site(element: str, *abc: float, **species: Any) -> dict[str, Any]:
    """A site of a pymatgen dict; further keywords go into its species."""
    return {"species": [{"element": element, "occu": 1, **species}], "abc": list(abc)}


def structure(*sites: dict[str, Any], a: float = 4.2) -> dict[str, Any]:
    """A pymatgen dict with a cubic lattice."""
    return {"lattice": {"matrix": [[a, 0, 0], [0, a, 0], [0, 0, a]]}, "sites": list(sites)}


def cesium_chloride(cation: str = "Cs", anion: str = "Cl", a: float = 4.2) -> dict[str, Any]:
    """A binary crystal of two atoms."""
    return structure(site(cation, 0, 0, 0), site(anion, 0.5, 0.5, 0.5), a=a)


def table(
    structures: list[Any], targets: list[Any] | None = None, index: list[Any] | None = None
) -> dict[str, Any]:
    """Content of a Matbench file with the target column "y"."""
    values = [float(row) for row in range(len(structures))] if targets is None else targets
    return {
        "index": list(range(len(structures))) if index is None else index,
        "columns": ["structure", "y"],
        "data": [[crystal, value] for crystal, value in zip(structures, values, strict=True)],
    }


def write_table(path: Path, content: Any) -> Path:
    """Write JSON (NaN allowed, as pandas and matminer files have it) as gzip."""
    path.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))
    return path


def spec(path: Path | str | None, **changes: Any) -> DatasetSpec:
    """A `file` spec with the target column left open."""
    fields: dict[str, Any] = {
        "task": "own_task",
        "source": "file",
        "path": None if path is None else str(path),
        "target": None,
        "unit": "eV/atom",
        "intensive": True,
        "target_name": "y",
        "sha256": None,
    }
    return DatasetSpec(**{**fields, **changes})


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of scripts/*.py as the workflow does."""
    command = [sys.executable, str(REPOSITORY / "scripts" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def small_store(folder: Path, count: int) -> GraphStore:
    """Graphs of the first `count` crystals of the embedded dataset."""
    content = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at = content["columns"].index("structure")
    crystals = [parse_structure(row[at]) for row in content["data"][:count]]
    graphs = GraphColumns.of([build_graph(crystal) for crystal in crystals])
    write_store(folder, content["index"][:count], crystals, graphs, [])
    return GraphStore.open(folder)
