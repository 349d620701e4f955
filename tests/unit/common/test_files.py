import hashlib
import json
import math
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.common import files
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import (
    atomic_path,
    canonical_sha256,
    file_sha256,
    finite_or_none,
    flatten,
    read_json,
    read_parquet,
    replaced_folder,
    write_csv,
    write_json,
    write_parquet,
    write_text,
)
from paths import REPOSITORY


def line_of(call, *arguments):
    with pytest.raises(FoldwiseError) as caught:
        call(*arguments)
    return str(caught.value)


def fail_while_writing(opened):
    with opened as path:
        (path if path.is_file() else path / "file").write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "whole")
    with pytest.raises(RuntimeError):
        fail_while_writing(atomic_path(path))
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "deep" / "store"
    for name in ("first", "second"):
        with replaced_folder(folder, ("first", "second")) as new:
            (new / name).write_text(name)
    assert [file.name for file in folder.iterdir()] == ["second"]
    with pytest.raises(RuntimeError):
        fail_while_writing(replaced_folder(folder, ("second",)))
    with pytest.raises(FoldwiseError, match="'second'"), replaced_folder(folder, ("first",)):
        pass
    assert [file.name for file in folder.iterdir()] == ["second"]
    assert [file.name for file in folder.parent.iterdir()] == ["store"]


def test_json_keeps_order_and_letters(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": "Å", "a": [1, None]})
    assert path.read_text() == '{\n  "b": "Å",\n  "a": [\n    1,\n    null\n  ]\n}\n'
    assert read_json(path) == {"b": "Å", "a": [1, None]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_never_holds_what_json_cannot_say(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": value})
    assert list(tmp_path.iterdir()) == []
    assert finite_or_none(value) is None
    assert finite_or_none(2) == 2.0


def test_unreadable_json(tmp_path):
    path = tmp_path / "a.json"
    assert line_of(read_json, path) == f"{path}: the file does not exist. Make it first."
    path.write_text("[1,")
    assert "Expecting value: line 1 column 4" in line_of(read_json, path)
    path.write_bytes(b"\xff\xfe")
    assert line_of(read_json, path).startswith(f"{path}: it is not valid JSON ('utf-8")


def test_csv_has_nine_digits_and_no_index(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1 / 3, 2.0], "y": ["a,b", "c"]}))
    assert (tmp_path / "a.csv").read_text() == 'x,y\n0.333333333,"a,b"\n2,c\n'


def test_parquet_comes_back(tmp_path):
    table = pd.DataFrame({"id": ["a", "b"], "x": [0.1, 0.2]})
    write_parquet(tmp_path / "a.parquet", table)
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet", ["x", "id"]), table)
    first = (tmp_path / "a.parquet").read_bytes()
    write_parquet(tmp_path / "a.parquet", table)
    assert (tmp_path / "a.parquet").read_bytes() == first


def test_unreadable_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    assert line_of(read_parquet, path, ["x"]) == f"{path}: the file does not exist. Make it first."
    write_parquet(path, pd.DataFrame({"x": [1.0], "z": [2.0]}))
    assert line_of(read_parquet, path, ["x", "y"]) == (
        f"{path}: column 'y' is missing (columns: x, z). "
        "Delete the file and run again, or name the column so."
    )
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"x" * 100, whole[:-5], whole[:50], whole[10:]):
        path.write_bytes(content)
        assert line_of(read_parquet, path, ["x"]) == (
            f"{path}: the file is truncated or not a Parquet file. Delete it and run again."
        )


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert canonical_sha256({"a": 1, "b": [2]}) == canonical_sha256({"b": [2], "a": 1})
    assert canonical_sha256([1, 2]) != canonical_sha256([2, 1])


keys = st.text(st.characters(exclude_characters=".", codec="utf-8"), min_size=1, max_size=4)
leaves = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
trees = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3))


@given(st.dictionaries(keys, trees, max_size=3))
def test_flat_mappings_hold_every_leaf(tree):
    flat = flatten(tree)
    for dotted, leaf in flat.items():
        node = tree
        for key in dotted.split("."):
            node = node[key]
        assert node == leaf
        assert not isinstance(leaf, dict)
    assert json.dumps(flat, sort_keys=True) == json.dumps(flatten(flat), sort_keys=True)


def test_what_a_killed_writer_left_is_swept_and_a_running_one_s_stays(tmp_path):
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "from foldwise.common.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    scripts = str(REPOSITORY / "scripts")
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt", scripts], check=False)
    (left,) = tmp_path.glob(".*.part")
    foreign = tmp_path / ".mine.part"
    foreign.write_text("not ours")
    with atomic_path(tmp_path / "b.txt") as running:
        assert not left.exists()
        files._sweep.__wrapped__(tmp_path)
        assert running.exists()
    assert foreign.exists()
