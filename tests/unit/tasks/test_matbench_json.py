import gzip
import json
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_files import write_table
from foldwise.common.errors import FoldwiseError
from foldwise.tasks import matbench_json
from foldwise.tasks.matbench_json import read_split_json

GOOD = {"index": [0, 1], "columns": ["structure", "y"], "data": [[{"a": 1}, 2.0], [None, 3]]}
HINT = 'Write it with pandas: table.to_json(path, orient="split").'

cells = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    rows=st.lists(st.tuples(cells, cells), max_size=4),
    indent=st.sampled_from([None, 1]),
    order=st.permutations(["index", "columns", "data", "name"]),
)
@settings(max_examples=60, deadline=None)
def test_streaming_equals_json_loads(tmp_path_factory, rows, indent, order):
    content = {"index": list(range(len(rows))), "columns": ["a", "b"], "name": {"x": [1]}}
    content["data"] = [list(row) for row in rows]
    path = tmp_path_factory.getbasetemp() / "table.json.gz"
    path.write_bytes(
        gzip.compress(json.dumps({k: content[k] for k in order}, indent=indent).encode())
    )
    table = read_split_json(path, lambda cell: cell)
    assert (table.index, table.columns, table.rows) == (
        content["index"],
        content["columns"],
        content["data"],
    )


def test_objects_are_converted(tmp_path):
    table = read_split_json(write_table(tmp_path / "t.json.gz", GOOD), list)
    assert table.rows == [[["a"], 2.0], [None, 3]]


def test_missing_file(tmp_path):
    path = tmp_path / "t.json.gz"
    with pytest.raises(FoldwiseError) as caught:
        read_split_json(path, dict)
    assert str(caught.value) == f"{path}: the file does not exist. Check the path of the dataset."


@pytest.mark.parametrize("kept", [0.3, 0.98])
def test_truncated_file(tmp_path, kept):
    path = tmp_path / "t.json.gz"
    content = gzip.compress(json.dumps(GOOD).encode())
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FoldwiseError) as caught:
        read_split_json(path, dict)
    assert str(caught.value) == f"{path}: the file is truncated. Copy or download it again."


def test_no_gzip(tmp_path):
    path = tmp_path / "t.json.gz"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(
        FoldwiseError, match=r"t\.json\.gz: the file is not intact gzip \(Not a gzipped"
    ):
        read_split_json(path, dict)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mbid,e_form",
        '{"index": [0}',
        '{"index": [0]',
        '{"a" 1}',
        '{"data": [[1] [2]]}',
        "{} {}",
    ],
)
def test_no_json(tmp_path, text):
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(
        FoldwiseError, match=r"t\.json\.gz: the file is not valid JSON \("
    ) as caught:
        read_split_json(path, dict)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([{"structure": {}, "y": 1}], "the file is not in pandas' split orient (no list 'index')"),
        ({"structure": {"0": {}}}, "the file is not in pandas' split orient (no list 'index')"),
        ({**GOOD, "data": {}}, "the file is not in pandas' split orient (no list 'data')"),
        ({**GOOD, "index": [0]}, "1 index labels for 2 rows"),
        (
            {**GOOD, "data": [[{}, 1], [{}]]},
            "row 1 does not have one cell for each of the 2 columns",
        ),
    ],
)
def test_other_orients(tmp_path, content, what):
    path = write_table(tmp_path / "t.json.gz", content)
    with pytest.raises(FoldwiseError) as caught:
        read_split_json(path, dict)
    assert str(caught.value) == f"{path}: {what}. {HINT}"


@settings(deadline=None)
@given(
    st.lists(st.tuples(cells, cells), max_size=4), st.integers(1, 40), st.sampled_from([None, 1])
)
def test_the_size_of_the_pieces_changes_nothing(rows, size, indent):
    content = {"index": list(range(len(rows))), "columns": ["a", "b"],
               "data": [list(row) for row in rows]}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(matbench_json, "_PIECE_BYTES", size)
        path = Path(folder) / "t.json"
        path.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")
        table = read_split_json(path, lambda cell: cell)
    assert (table.index, table.columns, table.rows) == tuple(content.values())


def test_the_text_is_never_in_memory_as_a_whole(tmp_path):
    rows = [[{"text": "x" * 10_000}, 1.0]] * 4_000
    path = write_table(
        tmp_path / "t.json.gz",
        {"index": list(range(len(rows))), "columns": ["structure", "y"], "data": rows},
    )
    tracemalloc.start()
    read_split_json(path, lambda _: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25e6  # of 40 MB
