"""Columns: what a script unpacks is what was packed, to the rounding that the column names."""

import base64
import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foldwise.site.data.columns import (
    code_column,
    number_column,
    quantum_of,
    text_column,
    whole_column,
)

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def unpacked(column):
    """Byte by byte, as the page does it."""
    raw = gzip.decompress(base64.b64decode(column["bytes"]))
    n = column["n"]
    rows = (bytes(raw[plane * n + row] for plane in range(4)) for row in range(n))
    return [int.from_bytes(row, "little", signed=True) for row in rows]


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=FINITE | st.just(np.nan)))
def test_numbers_come_back_to_half_a_quantum(values):
    quantum = quantum_of(values)
    column = number_column(values, quantum)
    for whole, value in zip(unpacked(column), values, strict=True):
        if np.isnan(value):
            assert whole == -(2**31)
        else:
            assert whole * quantum == pytest.approx(value, abs=0.5001 * quantum)


def test_five_digits_are_kept_of_energies_and_of_moduli():
    generator = np.random.default_rng(0)
    assert quantum_of(generator.normal(-1.2, 1.1, 1000)) == pytest.approx(1e-5)
    assert quantum_of(generator.normal(100.0, 60.0, 1000)) == pytest.approx(1e-4)
    assert quantum_of([3.0]) == pytest.approx(1e-5)


def test_one_outlier_does_not_break_the_other_numbers():
    values = np.array([*np.linspace(-1, 1, 50_000), 1e9])
    column = number_column(values, quantum_of(values))
    assert max(map(abs, unpacked(column))) < 2**31 - 1


@settings(deadline=None)
@given(st.lists(st.sampled_from(["oxide", "halide", "<b>", "산화물"]), min_size=1))
def test_levels_come_back(values):
    column = code_column(values)
    assert [column["levels"][code] for code in unpacked(column)] == values


def test_whole_numbers_and_texts_come_back():
    assert unpacked(whole_column([-1, 0, 230])) == [-1, 0, 230]
    texts = ["mp-1", '"</script>', "산화물"]
    raw = gzip.decompress(base64.b64decode(text_column(texts)["bytes"]))
    assert json.loads(raw) == texts


def test_equal_columns_give_equal_bytes():
    values = np.linspace(0, 1, 1000)
    assert number_column(values, 1e-5) == number_column(values, 1e-5)
