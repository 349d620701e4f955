"""Extended XYZ: every frame is a row, with its id as written; one bad frame is one bad row."""

import gzip
import os
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.parsing import CrystalError, Failure
from foldwise.tasks.formats.reader import open_structures
from foldwise.tasks.formats.text import crystal_of_text
from refusals import message

CELL = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3'
ATOMS = "Cs 0 0 0\nCl 2 2 2\n"


def frame(more="", atoms=ATOMS):
    return f"{atoms.count(chr(10))}\n{CELL} {more}\n{atoms}"


def rows_of(tmp_path, text, name="t.xyz", **options):
    content = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return list(open_structures(tmp_path / name, **options).rows())


@pytest.mark.parametrize("name", ["t.xyz", "t.extxyz.gz"])
def test_blank_lines_between_frames_lose_none(tmp_path, name):
    text = "\n" + "\n  \n\n".join(frame(f"e={number}") for number in range(4)) + "\n\n"
    rows = rows_of(tmp_path, text, name)
    assert [row.columns["e"] for row in rows] == [0, 1, 2, 3]
    assert all(row.crystal.numbers.tolist() == [55, 17] for row in rows)


def test_a_file_cut_off_or_no_file_is_one_line(tmp_path):
    packed = gzip.compress(frame().encode())
    (tmp_path / "cut.xyz.gz").write_bytes(packed[: len(packed) // 2])
    os.mkfifo(tmp_path / "pipe.xyz")
    os.mkfifo(tmp_path / "pipe.parquet")
    for name in ("cut.xyz.gz", "pipe.xyz", "pipe.parquet"):
        with pytest.raises(FoldwiseError) as caught:
            list(open_structures(tmp_path / name).rows())
        assert name in caught.value.where
        assert caught.value.hint


@pytest.mark.parametrize("text", ['{"sites": ' + "9" * 5000 + "}", '{"a": ' + "[" * 100_000])
def test_json_that_is_impossible_is_a_crystal_that_cannot_be_used(text):
    with pytest.raises(CrystalError):
        crystal_of_text(text, 1000)


@pytest.mark.parametrize("written", ["001", "1e5", "T", "1.50", "nan", "a=b", "F"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_an_id_stays_as_it_is_written(tmp_path, written, quote):
    (row,) = rows_of(tmp_path, frame(f"id={quote}{written}{quote} e=-1.5"))
    assert row.id == written
    assert row.columns["e"] == -1.5
    (named,) = rows_of(tmp_path, frame(f"other=x probe={quote}{written}{quote}"), id_column="probe")
    assert named.id == written


def test_deuterium_is_hydrogen(tmp_path):
    text = frame("id=a", "D 0 0 0\nLi 2 2 2\n") + "1\nid=b\nD 0 0 0\n"
    first, second = rows_of(tmp_path, text)
    assert first.crystal.numbers.tolist() == [1, 3]
    assert second.crystal == Failure("unreadable structure", "no lattice (a molecule?)")


BAD = {"a foreign element": "Xx 0 0 0\n", "no number": "Cs 0 0 none\n", "two columns": "Cs 0\n"}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_frame_is_a_bad_row(tmp_path, kind):
    rows = rows_of(tmp_path, frame("id=a") + frame("id=b", BAD[kind]) + frame("id=c"))
    assert [row.id for row in rows] == ["a", "b", "c"]
    assert [isinstance(row.crystal, Failure) for row in rows] == [False, True, False]


def test_what_is_not_a_frame_stops_with_its_line(tmp_path):
    told = message(rows_of, tmp_path, frame() + "# the second part\n" + frame())
    assert "frame 2 (line 5): '# the second part' is not a number of atoms" in told
    assert "line 6" in message(rows_of, tmp_path, frame() + "\n9\n")
    assert "line 2" in message(rows_of, tmp_path, "1\nname=é\nCs 0 0 0\n".encode("latin-1"))


@settings(max_examples=500, deadline=None)
@given(
    bad=st.lists(st.booleans(), min_size=1, max_size=8),
    blanks=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_frames_in_are_rows_out(tmp_path_factory, bad, blanks):
    text = "".join(
        frame(f"e={at}", "Xx 0 0 0\n" if wrong else ATOMS) + "\n" * blanks[at]
        for at, wrong in enumerate(bad)
    )
    rows = rows_of(tmp_path_factory.mktemp("t"), text)
    assert [isinstance(row.crystal, Failure) for row in rows] == bad


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_spoilt_file_gives_rows_or_one_line(tmp_path_factory, data):
    text = (frame("id=a e=1") + frame("id=b")).encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.binary(max_size=5)) + text[stop:]
    with suppress(FoldwiseError):
        rows_of(tmp_path_factory.mktemp("t"), text)
