"""What holds of every format: rows in are rows out and failures, and no input ends otherwise."""

import csv
import gzip
import io
import json
from contextlib import suppress

import ase.db
import pandas as pd
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.parsing import Failure
from foldwise.tasks.formats.reader import open_structures
from foldwise.tasks.own.values import Quantity, read_targets

SALT = Structure(Lattice.cubic(4.2), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])
GOOD, BAD = str(CifWriter(SALT)), "no crystal"


def as_folder(place, cells):
    folder = place / "folder"
    folder.mkdir()
    for at, good in enumerate(cells):
        (folder / f"c{at}.cif").write_text(GOOD if good else BAD)
    return folder


def as_csv(place, cells):
    text = io.StringIO()
    rows = [["id", "cif"], *([f"c{at}", GOOD if good else BAD] for at, good in enumerate(cells))]
    csv.writer(text).writerows(rows)
    (place / "t.csv").write_text(text.getvalue())
    return place / "t.csv"


def as_json_lines(place, cells):
    rows = [
        {"id": f"c{at}", "structure": SALT.as_dict() if good else None}
        for at, good in enumerate(cells)
    ]
    (place / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))
    return place / "t.jsonl"


def as_parquet(place, cells):
    table = pd.DataFrame({"id": [f"c{at}" for at in range(len(cells))]})
    table["cif"] = [GOOD if good else BAD for good in cells]
    table.to_parquet(place / "t.parquet")
    return place / "t.parquet"


def as_matbench(place, cells):
    content = {
        "index": [f"c{at}" for at in range(len(cells))],
        "columns": ["structure"],
        "data": [[SALT.as_dict() if good else BAD] for good in cells],
    }
    (place / "t.json.gz").write_bytes(gzip.compress(json.dumps(content).encode(), 1))
    return place / "t.json.gz"


def as_xyz(place, cells):
    head = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3'
    frames = [
        f"1\n{head} id=c{at}\n{'Fe' if good else 'Xx'} 0 0 0\n" for at, good in enumerate(cells)
    ]
    (place / "t.xyz").write_text("\n".join(frames))
    return place / "t.xyz"


def as_database(place, cells):
    with ase.db.connect(place / "t.db") as database:
        for at, good in enumerate(cells):
            database.write(Atoms("Fe", cell=[4, 4, 4], pbc=good), name=f"c{at}")
    return place / "t.db"


FORMATS = [as_folder, as_csv, as_json_lines, as_parquet, as_matbench, as_xyz, as_database]


@pytest.mark.slow  # buys: no format loses a row
@settings(max_examples=500, deadline=None)
@given(write=st.sampled_from(FORMATS), cells=st.lists(st.booleans(), min_size=1, max_size=5))
def test_rows_in_are_rows_out_and_failures(tmp_path_factory, write, cells):
    source = open_structures(write(tmp_path_factory.mktemp("t"), cells))
    rows = list(source.rows())
    assert [row.id for row in rows] == [f"c{at}" for at in range(len(cells))]
    assert [not isinstance(row.crystal, Failure) for row in rows] == cells
    assert source.total in (None, len(cells))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    return {write: write(place, [True, False, True]) for write in FORMATS if write != as_folder}


@pytest.mark.slow  # buys: damage of any kind ends in one line, in each reader
@pytest.mark.parametrize("write", [write for write in FORMATS if write != as_folder])
@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_spoilt_file_gives_rows_or_one_line(tmp_path_factory, whole, write, data):
    content = whole[write].read_bytes()
    unpacked = write == as_matbench and data.draw(st.booleans())
    if unpacked:
        content = gzip.decompress(content)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 20)))
        content = content[:start] + data.draw(st.binary(max_size=5)) + content[stop:]
    path = tmp_path_factory.mktemp("t") / whole[write].name
    path.write_bytes(gzip.compress(content, 1) if unpacked else content)
    with suppress(FoldwiseError):
        for row in open_structures(path).rows():
            assert isinstance(row.id, str)
            if isinstance(row.crystal, Failure):
                assert "\n" not in row.crystal.detail
    with suppress(FoldwiseError):
        read_targets(path, Quantity("id", "eV"), None)
