import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.tracking import commands
from foldwise.tracking.questions.compare import (
    compare_runs,
    differences,
    paired_intervals,
    snapshot,
)
from foldwise.tracking.record.identity import run_identity
from foldwise.tracking.record.lifecycle import complete, start
from foldwise.tracking.record.registry import Registry
from tracking_files import CLEAN, finished_run, make_config, make_results


@pytest.fixture
def pair(tmp_path):
    registry = Registry(tmp_path)
    first = finished_run(registry, make_config(lr=0.001), 0.05)
    second = finished_run(registry, make_config(lr=0.002), 0.04)
    return registry, first, second


def test_one_changed_key_is_named_and_nothing_else(pair):
    registry, first, second = pair
    found = compare_runs(registry, first["identity"], second["identity"])
    assert found["config"] == [{"key": "recipe.lr", "first": 0.001, "second": 0.002}]
    assert found["environment"] == []
    assert found["paired"]["rows"] == 40


def test_intervals_agree_with_scipy_on_the_same_rows(pair):
    registry, *runs = pair
    found = compare_runs(registry, *(entry["identity"] for entry in runs))["paired"]
    tables = [read_parquet(snapshot(registry, entry) / "predictions.parquet", ()) for entry in runs]
    errors = [(table["prediction"] - table["target"]).to_numpy() for table in tables]
    for row, power in zip(found["differences"], (1, 2), strict=True):
        per_row = np.abs(errors[1]) ** power - np.abs(errors[0]) ** power
        oracle = stats.ttest_1samp(per_row, 0.0).confidence_interval()
        assert row["delta"] == pytest.approx(per_row.mean(), rel=1e-12)
        assert row["low"] == pytest.approx(oracle.low)
        assert row["high"] == pytest.approx(oracle.high)
        assert row["excludes_zero"] == (row["low"] > 0 or row["high"] < 0)


def test_equal_predictions_differ_by_nothing():
    rows = pd.DataFrame(
        {"formula": list("abc"), "target": [0.0, 1.0, 2.0], "first": [0.1, 0.9, 2.3]}
    )
    intervals = paired_intervals(rows.assign(second=rows["first"]))
    assert {name: (one.low, one.high) for name, one in intervals.items()} == {
        "mae": (0.0, 0.0),
        "mse": (0.0, 0.0),
    }


def edited_run(registry, config, edit):
    results = make_results(registry.root / config["experiment"], config, 0.04)
    path = results / "predictions.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    folder = registry.folder(run_identity(config, CLEAN.git_commit))
    with registry.change() as change:
        start(change, folder, config, code=CLEAN)
        return complete(change, folder, results)


def test_rows_that_only_one_run_has_are_left_out_and_counted(tmp_path):
    registry = Registry(tmp_path)
    first = finished_run(registry, make_config(lr=0.001), 0.05)
    fewer = edited_run(registry, make_config(lr=0.002), lambda rows: rows.iloc[5:])
    found = compare_runs(registry, first["identity"], fewer["identity"])["paired"]
    assert (found["rows"], found["rows_left_out"]) == (35, [5, 0])
    other = edited_run(registry, make_config(lr=0.003), lambda rows: rows.assign(target=9.0))
    with pytest.raises(FoldwiseError, match="no test rows in common"):
        compare_runs(registry, first["identity"], other["identity"])


def test_predictions_that_were_edited_after_the_run_are_not_compared(pair):
    registry, first, second = pair
    path = snapshot(registry, second) / "predictions.parquet"
    pd.read_parquet(path).assign(prediction=0.0).to_parquet(path, index=False)
    with pytest.raises(FoldwiseError, match="its predictions are changed since the run"):
        compare_runs(registry, first["identity"], second["identity"])


def test_nested_and_absent_keys_have_dotted_paths():
    first = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    second = {"a": {"b": 1, "c": [1, 3]}, "e": {"f": 2}}
    assert [(row["key"], row["first"], row["second"]) for row in differences(first, second)] == [
        ("a.c", [1, 2], [1, 3]),
        ("d", None, "(absent)"),
        ("e", "(absent)", {"f": 2}),
    ]


def test_markdown_and_json_say_the_same(pair, tmp_path):
    _, first, second = pair
    names = first["identity"], second["identity"]
    text = commands.compare(tmp_path, *names, "md")
    found = json.loads(commands.compare(tmp_path, *names, "json"))
    assert "| recipe.lr | 0.001   | 0.002    |" in text
    assert "Both at commit aaaaaaaaaaaa." in text
    assert f"{found['paired']['differences'][0]['delta']:.6g}" in text


def test_commits_of_another_repository_are_called_unknown(tmp_path):
    registry = Registry(tmp_path)
    first = finished_run(registry, make_config(), 0.05)
    second = finished_run(registry, make_config(), 0.05, code=replace(CLEAN, git_commit="b" * 40))
    text = commands.compare(tmp_path, first["identity"], second["identity"], "md")
    assert "The commits of the second run are not in this repository." in text
    assert "The configs are equal." in text
