import json

import numpy as np
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.graphs.conversion import build_store
from foldwise.graphs.store import GraphStore, join_stores, store_sha256
from graph_files import graph_at, salt, salt_store, structure_file

NAMES = [f"c{row}" for row in range(5)]
HINT = "Delete the folder and build the graphs again."


@pytest.fixture
def folder(tmp_path):
    salt_store(tmp_path, NAMES)
    return tmp_path / "graphs"


def line_of(call, *arguments):
    with pytest.raises(FoldwiseError) as caught:
        call(*arguments)
    return str(caught.value)


def test_arrays_are_mapped_not_loaded(folder):
    arrays = GraphStore.open(folder).arrays.values()
    assert all(isinstance(array, np.memmap) for array in arrays)


def test_rows_follow_the_ids_asked_for(folder):
    store = GraphStore.open(folder)
    assert store.rows_of(["c3", "c0", "c3"]).tolist() == [3, 0, 3]
    assert line_of(store.rows_of, ["c0", "x", "y"]) == (
        "graph store: 2 id(s) have no graph, the first is 'x'. "
        "Build the graphs and the splits from the same dataset."
    )


def test_joined_stores_hold_both(tmp_path, folder):
    first = GraphStore.open(folder)
    (tmp_path / "more").mkdir()
    second = salt_store(tmp_path / "more", ["d0", "d1"])
    joined = join_stores(first, second)
    assert joined.ids == [*NAMES, "d0", "d1"]
    for source, shift in ((first, 0), (second, 5)):
        for row in range(len(source)):
            own = graph_at(joined, row + shift)
            for name, values in graph_at(source, row).items():
                np.testing.assert_array_equal(own[name], values)
    np.testing.assert_array_equal(joined.core, np.concatenate([first.core, second.core]))
    np.testing.assert_array_equal(joined.short, np.concatenate([first.short, second.short]))


def test_the_checksum_follows_the_geometry_and_nothing_else(tmp_path):
    """Same ids, same counts: a cell that is larger by one part in ten thousand is another store."""
    found = []
    for name, a in (("first", 4.1), ("again", 4.1), ("larger", 4.10041)):
        place = tmp_path / name
        place.mkdir()
        crystals = {"a": salt(), "b": salt(a=a)}
        build_store(structure_file(place / "structures.npz", crystals), place / "graphs")
        meta = json.loads((place / "graphs" / "meta.json").read_text())
        found.append((meta.pop("arrays_sha256"), meta, store_sha256(place / "graphs")))
    (first, facts, whole), again, (larger, other_facts, other) = found
    assert again == (first, facts, whole)
    assert facts == other_facts
    assert larger != first
    assert other != whole


def test_another_format_version(folder):
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "format_version": 0}))
    assert (
        line_of(GraphStore.open, folder) == f"{folder}: graph store format 0 instead of 1. {HINT}"
    )


@pytest.mark.parametrize("name", ["edge_atoms", "frac", "offsets", "core", "short"])
def test_missing_and_truncated_arrays(folder, name):
    path = folder / f"{name}.npy"
    for content in (path.read_bytes()[:-8], b"", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        line = line_of(GraphStore.open, folder)
        assert line.startswith(f"{folder}: the graph store is incomplete or truncated (")
        assert line.endswith(f"). {HINT}")
        path.touch()


def test_missing_store(tmp_path):
    path = tmp_path / "none" / "meta.json"
    assert line_of(GraphStore.open, path.parent) == (
        f"{path}: the file does not exist. Make it first."
    )
