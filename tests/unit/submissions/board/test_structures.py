"""Crystals beside submissions: described once, joined by id, a help where they are one."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from board_files import made_up_rows
from crystal_files import cesium_chloride
from foldwise.crystals.structure_features import STRUCTURE_FEATURES
from foldwise.submissions.board.describing import describe_structures
from foldwise.submissions.board.features import Features
from foldwise.submissions.board.rows import structure_columns, structure_file
from foldwise.submissions.board.rules import answer
from refusals import message

TASK = "matbench_phonons"


def write_dataset(folder, rows, columns=("structure", "last phdos peak")):
    content = {"index": list(rows), "columns": list(columns),
               "data": [[cell, 1.0] for cell in rows.values()]}  # fmt: skip
    path = folder / f"{TASK}.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def test_crystals_are_joined_by_id_and_rows_without_one_are_nan(tmp_path):
    ids = ["mb-phonons-0002", "mb-phonons-0001", "mb-phonons-0003"]
    cells = [cesium_chloride(), cesium_chloride("Na"), {"lattice": "gone"}]
    path = write_dataset(tmp_path, dict(zip(ids, cells, strict=True)))
    assert structure_file(tmp_path, TASK) == path
    assert describe_structures(path, TASK, tmp_path / "table.parquet") == 2
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert list(table.columns) == ["id", *STRUCTURE_FEATURES]
    asked = ["mb-phonons-0001", "mb-phonons-0002", "mb-phonons-0003", "mb-phonons-0004"]
    found = structure_columns(tmp_path / "table.parquet", np.array(asked))
    density = found[:, STRUCTURE_FEATURES.index("density")]
    assert density[0] < density[1]  # sodium is lighter than caesium, in the same cell
    assert np.isnan(found[2:]).all()
    assert structure_columns(None, np.array(asked)).shape == (4, 0)


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ({"mb-phonons-0001": cesium_chloride()}, ("cell", "y"), "it has no column 'structure'"),
        ({"mb-phonons-0001": {"lattice": "gone"}}, ("structure", "y"), "none of its 1 crystals"),
        ({"mp-149": cesium_chloride()}, ("structure", "y"), "mp-149"),
    ],
)
def test_mistakes(tmp_path, rows, columns, said):
    path = write_dataset(tmp_path, rows, columns)
    assert said in message(describe_structures, path, TASK, tmp_path / "table.parquet")
    assert not (tmp_path / "table.parquet").exists()


def test_a_column_that_tells_where_the_members_err_helps():
    rows = made_up_rows(1000)
    features = Features(rows)
    known, test = [1, 2, 3, 4], rows.fold == 0
    errors = {
        rule: np.abs(answer(features, rule, known, [0]) - rows.target[test]).mean()
        for rule in ("beside", "structure")
    }
    assert errors["structure"] < 0.95 * errors["beside"]
