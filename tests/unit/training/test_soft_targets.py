import numpy as np
import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.study.recipe import Teacher
from foldwise.training.soft_targets import read_soft_targets

UNIFORM, DISAGREEMENT = Teacher("e3"), Teacher("e3", weighting="disagreement")


@pytest.fixture
def table():
    return pd.DataFrame(
        {"id": ["a", "b", "c"], "mean": [1.0, 2.0, 3.0], "std": [0.1, 0.2, 0.4], "n": [1, 1, 1]}
    )


def written(tmp_path, table):
    write_parquet(tmp_path / "soft.parquet", table)
    return tmp_path / "soft.parquet"


def line_of(*arguments):
    with pytest.raises(FoldwiseError) as caught:
        read_soft_targets(*arguments)
    return str(caught.value)


def test_values_and_uniform_weights(tmp_path, table):
    soft = read_soft_targets(written(tmp_path, table), UNIFORM)
    assert soft.ids == ["a", "b", "c"]
    assert soft.values.tolist() == [1.0, 2.0, 3.0]
    assert soft.weights.tolist() == [1.0, 1.0, 1.0]


def test_disagreement_weighs_down(tmp_path, table):
    weights = read_soft_targets(written(tmp_path, table), DISAGREEMENT).weights
    raw = np.array([1 / (1 + 0.25), 1 / 2, 1 / 5])
    np.testing.assert_allclose(weights, raw / raw.mean())
    assert weights.mean() == pytest.approx(1)


def test_teachers_that_never_disagree(tmp_path, table):
    soft = read_soft_targets(written(tmp_path, table.assign(std=0.0)), DISAGREEMENT)
    assert soft.weights.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[:0],
        lambda table: table.assign(mean=[1.0, np.nan, 3.0]),
        lambda table: table.assign(std=[0.1, np.inf, 0.1]),
    ],
)
def test_empty_or_not_finite(tmp_path, table, change):
    path = written(tmp_path, change(table))
    assert line_of(path, UNIFORM) == (
        f"{path}: the soft targets are empty or not finite. "
        "Delete the file and run the ensemble again."
    )


def test_without_a_column(tmp_path, table):
    path = written(tmp_path, table.drop(columns="std"))
    assert line_of(path, UNIFORM) == (
        f"{path}: column 'std' is missing (columns: id, mean, n). "
        "Delete the file and run again, or name the column so."
    )
