"""A study of one fold alone."""

import json

import pandas as pd
import pytest

from small_study import CONFIG


def test_one_fold_alone_is_an_incomplete_study(study, tmp_path):
    house = study.copy(tmp_path / "house")
    config = house.write_config("one.json", splits={**CONFIG["splits"], "only": [1]})
    done = house.snakemake("results/tiny/e0/results.json", config=config)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((house.results / "e0" / "results.json").read_text())
    assert [fold["fold"] for fold in record["metrics"]["folds"]] == [1]
    assert record["metrics"]["aggregate"]["mae_std"] == 0
    whole = json.loads((study.results / "e0" / "results.json").read_text())
    assert record["metrics"]["folds"][0]["mae"] == whole["metrics"]["folds"][1]["mae"]
    shown = pd.read_parquet(house.results / "e0" / "predictions.parquet")
    assert set(shown["fold"]) == {1}
    assert "fold 1" in (house.results / "e0" / "README.txt").read_text().lower()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"splits": {**CONFIG["splits"], "only": [0, 2]}},
         "error: config: splits.only: there is no fold 2. Allowed: 0 to 1."),
        ({"engine": {"precision": "fp8"}},
         "error: config: engine.precision: 'fp8' is not accepted. Allowed: float32, tf32, bf16."),
    ],
)  # fmt: skip
def test_mistakes(bare_house, changes, line):
    config = bare_house.write_config("wrong.json", **changes)
    done = bare_house.snakemake("-n", config=config)
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
