"""Tables from outside: each row has the header's cells, or the table is refused with the row."""

import csv
import gzip
import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.common.tables import csv_rows, csv_table
from refusals import message


def rows_of(path):
    return [row for _, row in csv_rows(path)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_cells_stay_text(tmp_path, end, packed):
    text = f'id,k{end}001,1e5{end}{end}"a,b","x{end}y"{end}'
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    content = b"\xef\xbb\xbf" + text.encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert rows_of(path) == [{"id": "001", "k": "1e5"}, {"id": "a,b", "k": f"x{end}y"}]


WRONG = {
    "decimal commas": ("id,k\n10,13,0\n", "row 2 has 3 cells, the header 2"),
    "a comma at the end": ("id,k\na,1,\n", "row 2 has 3 cells, the header 2"),
    "a short row": ("id,k\na,1\nb\n", "row 3 has 1 cells, the header 2"),
    "one name twice": ("id,k,k\na,1,2\n", "'k' twice"),
    "nothing": ("\n\n", "empty"),
    "an open quote": ('id,k\na,"1\n', "after row 1"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_table_whose_columns_would_shift_is_refused(tmp_path, kind):
    text, told = WRONG[kind]
    (tmp_path / "t.csv").write_text(text)
    assert told in message(rows_of, tmp_path / "t.csv")
    assert told in message(csv_table, tmp_path / "t.csv")


def test_a_damaged_or_missing_table_is_one_line(tmp_path):
    (tmp_path / "latin.csv").write_bytes("id,k\nä,1\n".encode("latin-1"))
    assert "latin.csv line 2" in message(rows_of, tmp_path / "latin.csv")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"id,k\na,1\n" * 99)[:-9])
    assert "cut.csv.gz" in message(rows_of, tmp_path / "cut.csv.gz")
    assert "does not exist" in message(rows_of, tmp_path / "none.csv")
    assert "not a file" in message(rows_of, tmp_path)


CELLS = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=5)


@settings(max_examples=500, deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6))
def test_rows_in_are_rows_out_or_the_table_is_refused(tmp_path_factory, rows):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    filled = [row for row in rows if len(row) > 1 or row[0].strip()]
    try:
        assert [list(row.values()) for row in rows_of(path)] == filled
    except FoldwiseError:
        assert any(len(row) != 3 for row in filled)
    else:
        assert all(len(row) == 3 for row in filled)


@settings(max_examples=500, deadline=None)
@given(content=st.binary(max_size=60), packed=st.booleans())
def test_any_bytes_are_rows_or_one_line(tmp_path_factory, content, packed):
    path = tmp_path_factory.mktemp("t") / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(content)
    with suppress(FoldwiseError):
        rows_of(path)
