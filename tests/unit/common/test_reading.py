"""Files from outside: whatever they hold, a value or one line."""

import gzip
import json
import os
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from foldwise.common.errors import FoldwiseError
from foldwise.common.frames import read_csv, read_parquet
from foldwise.common.reading import read_bytes, read_json, read_text, read_yaml
from foldwise.common.tables import csv_table
from foldwise.common.tensors import read_tensors

READERS = {
    "json": read_json,
    "yaml": read_yaml,
    "csv": read_csv,
    "table": csv_table,
    "parquet": read_parquet,
    "safetensors": read_tensors,
    "gzip": lambda path: read_bytes(path, packed=True),
    "text": read_text,
}
wild = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def one_line(read, path):
    """The value, or `None` for a refusal that names the file and says what to do."""
    try:
        return read(path)
    except FoldwiseError as error:
        refusal = error
    assert str(path) in refusal.where
    assert refusal.hint
    assert "\n" not in str(refusal)
    return None


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    begun = time.monotonic()
    paths = [tmp_path / name for name in ("folder", "pipe", "loop", "none", "n" * 300, "a\0b")]
    for path in [*paths, tmp_path / "none" / "x", "/dev/zero", "/dev/null"]:
        with pytest.raises(FoldwiseError):
            READERS[kind](Path(path))
    assert time.monotonic() - begun < 2


def parquet(path):
    table = pd.DataFrame({"id": ["a", "b"] * 50, "x": np.arange(100.0)})
    table.to_parquet(path, index=False, compression="snappy")


WHOLE = {
    "json": lambda path: path.write_text(json.dumps({"a": [1, None, "é"], "b": {"c": 0.5}})),
    "yaml": lambda path: path.write_text("a: [1, 2.5, 2020-01-02, &x {b: c}, *x]\nd: 'e'\n"),
    "csv": lambda path: path.write_text('id,x\na,1\n"b,c",2.5\n'),
    "table": lambda path: path.write_text('id,x\na,1\n"b,c",2.5\n'),
    "parquet": parquet,
    "safetensors": lambda path: save_file({"a": torch.ones(3)}, path, metadata={"b": "c"}),
    "gzip": lambda path: path.write_bytes(gzip.compress(b"text" * 50)),
    "text": lambda path: path.write_text("é" * 9),
}


@pytest.mark.parametrize("kind", READERS)
@wild
@given(data=st.data())
def test_a_spoilt_file_is_read_or_refused(tmp_path, kind, data):
    path = tmp_path / "file"
    WHOLE[kind](path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    upto = data.draw(st.integers(at, min(len(whole), at + 9)))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=9)) + whole[upto:])
    one_line(READERS[kind], path)


@pytest.mark.parametrize("kind", READERS)
@settings(wild, max_examples=150)
@given(content=st.binary(max_size=60) | st.text("{}[]:,&*!-?|>'\"\\ud8019eE.\n a", max_size=40))
def test_any_content_is_read_or_refused(tmp_path, kind, content):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    one_line(READERS[kind], path)


JSON = ["[" * 101 + "]" * 101, "[" * 100_000, '{"a":' * 5000, "9" * 5000, f"-{'9' * 400}",
        r'"\ud800"', r'{"\udfff": 1}', "", "\ufeff\ufeff1"]  # fmt: skip
YAML = ["[" * 101 + "]" * 101, "[" * 5000, "9" * 5000, "2020-02-30", "0x" + "f" * 300, "&a [*a]",
        "? [a]\n: b", r'"\ud800"', "!!int ''", "!!timestamp x", "!!python/object:os.system x",
        "!!bool x", "!!float", "a: b: c", "\t",
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True))]  # fmt: skip


@pytest.mark.parametrize(("read", "texts"), [(read_json, JSON), (read_yaml, YAML)])
def test_values_that_other_code_fails_at_are_refused(tmp_path, read, texts):
    path = tmp_path / "file"
    for text in texts:
        path.write_text(text)
        assert one_line(read, path) is None, text[:40]


def test_values_that_are_unusual_and_right_are_read(tmp_path):
    path = tmp_path / "file"
    for value in ([[1] * 3] * 200, "😀", 10**300, "[" * 500, {"a": "]" * 500}, -1e308):
        path.write_text(json.dumps(value))
        assert read_json(path) == value


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "bomb.gz"
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(2**24)
    path.write_bytes(b"".join(packer.compress(piece) for _ in range(24)) + packer.flush())
    with pytest.raises(FoldwiseError, match="expands"):
        read_bytes(path, packed=True)


def test_damaged_pages_and_foreign_metadata_of_parquet_are_refused_or_read(tmp_path):
    path = tmp_path / "a.parquet"
    parquet(path)
    content = bytearray(path.read_bytes())
    content[30:200] = bytes(170)
    path.write_bytes(content)
    assert one_line(read_parquet, path) is None
    plain = pa.table({"x": [1.0]})
    for pandas in (
        b"[]",
        b"{",
        b"3",
        b'{"columns": 3}',
        b'{"index_columns": [{"kind": 3}]}',
        b"\xff",
    ):
        pq.write_table(plain.replace_schema_metadata({b"pandas": pandas}), path)
        one_line(read_parquet, path)


def test_numbers_that_are_not_finite_are_no_weights(tmp_path):
    for bad in (torch.nan, torch.inf):
        save_file({"a": torch.tensor([1.0, bad])}, tmp_path / "a")
        assert one_line(read_tensors, tmp_path / "a") is None
