"""Cells of a column of targets: numbers, with or without their unit, and what is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.own.values import Quantity, read_targets, target_of
from refusals import message


def number_or_error(cell, unit="eV"):
    try:
        return target_of({"y": cell}, Quantity("y", unit), "here").value
    except FoldwiseError as error:
        return error


@pytest.mark.parametrize(
    ("cell", "unit", "value"),
    [
        ("-1.5", "eV", -1.5), (" 2e-3 ", "eV", 0.002), ("1.5 eV", "eV", 1.5), (3, "eV", 3.0),
        (".5eV/atom", "eV/atom", 0.5), ("true", "class", 1.0), (False, "class", 0.0),
        ("True", "eV", None), (True, "eV", None), ("1,5", "eV", None), ("1.5(2)", "eV", None),
        ("", "eV", None), ("nan", "eV", None), ("-inf", "eV", None), (None, "eV", None),
        ("missing", "eV", None), (float("nan"), "eV", None), ("1e31", "eV", None),
        (-1e300, "eV", None),
        ("yes", "class", 1.0), ("No", "class", 0.0), (10**400, "eV", None),
    ],
)  # fmt: skip
def test_what_a_cell_is_worth(cell, unit, value):
    assert number_or_error(cell, unit) == value


@pytest.mark.parametrize("cell", ["1.5 meV", "1.5 kJ/mol", "12 %", "1e3 K"])
def test_another_unit_is_named(cell):
    told = str(number_or_error(cell))
    assert f"here: the unit is {cell.split(' ')[1]!r}, and --unit says 'eV'" in told


@given(cell=st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=12)))
@settings(max_examples=200, deadline=None)
def test_a_cell_is_a_number_none_or_another_unit(cell):
    found = number_or_error(cell)
    if isinstance(found, FoldwiseError):
        assert "the unit is" in str(found)
    else:
        assert found is None or abs(found) < float("inf")


def test_ids_may_stand_in_any_first_column_or_a_named_one(tmp_path):
    (tmp_path / "t.csv").write_text("Probe,y,label\n007,1.5,a\n8,2,b\n")
    found = read_targets(tmp_path / "t.csv", Quantity("y", "eV"), None)
    assert {name: row.value for name, row in found.items()} == {"007": 1.5, "8": 2.0}
    named = read_targets(tmp_path / "t.csv", Quantity("y", "eV"), "label")
    assert list(named) == ["a", "b"]
    told = message(read_targets, tmp_path / "absent.csv", Quantity("y", "eV"), None)
    assert "the file does not exist" in told


@pytest.mark.parametrize(("unit", "shown"), [("1", "unitless"), (" - ", "unitless"), ("eV", "eV")])
def test_a_pure_number_has_a_word_for_its_unit(unit, shown):
    assert Quantity.of("n", unit) == Quantity("n", shown)
