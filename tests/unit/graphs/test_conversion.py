import json
import subprocess
import sys

import numpy as np
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.files import read_structures
from foldwise.crystals.neighbors import build_graph
from foldwise.graphs.conversion import build_store
from foldwise.graphs.store import GraphStore
from graph_files import graph_at, lonely_atom, salt, salt_store, structure_file
from paths import REPOSITORY

NAMES = [f"c{row}" for row in range(5)]


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_crystal_keeps_its_own_graph(tmp_path):
    store = salt_store(tmp_path, NAMES)
    ids, crystals = read_structures(tmp_path / "structures.npz")
    assert store.ids == ids == NAMES
    assert len(store) == 5
    for row, crystal in enumerate(crystals):
        expected = build_graph(crystal)
        for name, values in graph_at(store, row).items():
            np.testing.assert_array_equal(values, getattr(expected, name))
        assert tuple(store.core[row]) == expected.core
        assert store.short[row] == expected.n_short
        first, last = store.offsets[row, 0], store.offsets[row + 1, 0]
        np.testing.assert_array_equal(store.arrays["numbers"][first:last], crystal.numbers)
        np.testing.assert_allclose(store.arrays["frac"][first:last], crystal.frac)
        np.testing.assert_allclose(store.arrays["lattice"][row], crystal.lattice, rtol=1e-7)


def test_the_bytes_do_not_depend_on_workers_or_on_an_older_store(tmp_path):
    crystals = {f"c{row}": salt(a=3.5 + 0.01 * row) for row in range(130)}
    path = structure_file(tmp_path / "many.npz", {**crystals, "alone": lonely_atom()})
    for workers in (1, 2):
        build_store(path, tmp_path / str(workers), workers)
    build_store(structure_file(tmp_path / "few.npz", {"a": salt()}), tmp_path / "3")
    build_store(path, tmp_path / "3", 1)
    one, two, three = (bytes_of(tmp_path / name) for name in "123")
    assert one == two == three
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_crystal_without_graph_is_a_failure(tmp_path):
    crystals = {"a": salt(), "alone": lonely_atom(), "b": salt(19, 35)}
    build_store(structure_file(tmp_path / "s.npz", crystals), tmp_path / "graphs")
    store = GraphStore.open(tmp_path / "graphs")
    meta = json.loads((tmp_path / "graphs" / "meta.json").read_text())
    assert store.ids == ["a", "b"]
    assert (meta["n_crystals"], meta["n_failed"]) == (2, 1)
    assert (tmp_path / "graphs" / "failures.csv").read_text() == (
        "id,stage,reason,detail\n"
        "alone,graphs,isolated or unreadable graph,1 isolated atom(s): no neighbour within 6 Å\n"
    )


def test_no_graph_at_all(tmp_path):
    path = structure_file(tmp_path / "s.npz", {"alone": lonely_atom()})
    with pytest.raises(FoldwiseError) as caught:
        build_store(path, tmp_path / "graphs")
    assert str(caught.value) == (
        f"{path}: none of the 1 structures has a graph. "
        "Look at the reasons in the dataset's failures.csv."
    )
    assert not (tmp_path / "graphs").exists()


def test_crystals_without_graph_are_told_before_any_training(tmp_path):
    crystals = {"a": salt(), "alone": lonely_atom(), "lonely": lonely_atom()}
    structure_file(tmp_path / "s.npz", crystals)
    command = [sys.executable, "scripts/jobs/build_graphs.py", "--structures", tmp_path / "s.npz"]
    told = subprocess.run(
        [*command, "--out", tmp_path / "g"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stderr.startswith("warning: 2 crystals have no graph, the first is alone (1 isol")
    assert "fallback answer" in told.stderr
    quiet = subprocess.run(
        [*command, "--out", tmp_path / "h", "--copies"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert quiet.stderr == ""
