import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.prediction.averages import combine

HINT = "Predict the same subset of the same fold with every member."


def write_members(folder, values, held_out=None):
    """One file per row of `values`, with ids c0, c1, …"""
    paths = []
    for number, row in enumerate(values):
        table = pd.DataFrame({"id": [f"c{column}" for column in range(len(row))]})
        table["prediction"] = np.asarray(row, dtype=np.float64)
        if held_out is not None:
            table["held_out"] = np.asarray(held_out[number], dtype=bool)
        paths.append(folder / f"{number}.parquet")
        write_parquet(paths[-1], table)
    return paths


def line_of(*arguments):
    with pytest.raises(FoldwiseError) as caught:
        combine(*arguments)
    return str(caught.value)


@st.composite
def members(draw):
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 8)))
    return draw(arrays(float, shape, elements=st.floats(-1e3, 1e3))), draw(arrays(bool, shape))


@given(members())
def test_mean_and_deviation_are_those_of_numpy(tmp_path_factory, drawn):
    values, _ = drawn
    table = combine(write_members(tmp_path_factory.mktemp("m"), values), "mean")
    np.testing.assert_allclose(table["mean"], values.mean(axis=0), rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(table["std"], values.std(axis=0))
    assert table["n"].tolist() == [len(values)] * values.shape[1]
    assert table["id"].tolist() == [f"c{column}" for column in range(values.shape[1])]


@given(members())
def test_crossfit_asks_only_those_that_held_a_crystal_out(tmp_path_factory, drawn):
    values, held_out = drawn
    paths = write_members(tmp_path_factory.mktemp("m"), values, held_out)
    if not held_out.any():
        assert line_of(paths, "crossfit") == (
            f"{paths[0]}: no member held any training row out. "
            "Use soft targets in_sample, or give each teacher a hold-out."
        )
        return
    table = combine(paths, "crossfit")
    kept = np.flatnonzero(held_out.any(axis=0))
    assert table["id"].tolist() == [f"c{column}" for column in kept]
    expected = np.ma.masked_array(values, ~held_out).mean(axis=0)[kept]
    np.testing.assert_allclose(table["mean"], expected, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(table["std"], values.std(axis=0)[kept])
    assert table["n"].tolist() == held_out.sum(axis=0)[kept].tolist()


def test_members_of_other_crystals_or_another_order(tmp_path):
    first, second = write_members(tmp_path, [[1.0, 2.0], [3.0, 4.0]])
    for changed in (pd.read_parquet(second).iloc[::-1], pd.read_parquet(second).iloc[:1]):
        write_parquet(second, changed)
        assert line_of([first, second], "mean") == (
            f"{second}: it holds other crystals than {first}. {HINT}"
        )


def test_members_without_hold_outs(tmp_path):
    paths = write_members(tmp_path, [[1.0]])
    assert line_of(paths, "crossfit") == (
        f"{paths[0]}: column 'held_out' is missing (columns: id, prediction). "
        "Delete the file and run again, or name the column so."
    )
