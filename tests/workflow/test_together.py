"""The seeds of a fold in one job, and a study of one fold alone."""

import json
import shutil

import pandas as pd
import pytest

from small_study import CONFIG, TASK

SWITCHED = {"engine": {"seeds_together": True}}


def test_seeds_in_one_job_answer_as_seeds_in_jobs_of_their_own(study, tmp_path):
    house = study.copy(tmp_path / "house")
    for folder in ("models/baseline", "predictions/baseline"):
        shutil.rmtree(house.results / folder)
    config = house.write_config("together.json", **SWITCHED)
    answers = [
        f"results/tiny/predictions/baseline/{TASK}/fold_{fold}/seed_{seed}/test.parquet"
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    done = house.snakemake(*answers, config=config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule train_model:" not in done.stdout + done.stderr
    for fold in (0, 1):
        for seed in (0, 1):
            name = f"baseline/{TASK}/fold_{fold}/seed_{seed}"
            fit = json.loads((house.results / "models" / name / "fit.json").read_text())
            assert (fit["seed"], fit["holdout"], fit["trained_together"]) == (seed, seed, 2)
            one, many = (
                pd.read_parquet(each.results / "predictions" / name / "test.parquet")
                for each in (study, house)
            )
            assert one["id"].tolist() == many["id"].tolist()
            # Single precision, 3 epochs: other sums, the same model.
            assert (one["prediction"] - many["prediction"]).abs().max() < 2e-3
    still_to_train = house.jobs(config).get("train_model", set())
    assert all(path.startswith("models/student/") for path in still_to_train)


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
