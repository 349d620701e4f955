"""E1, E2, E5 and E6 on top of the finished small study, and the gate in front of them."""

import json
import shutil

import pandas as pd
import pytest

from later_study import CHANGES, HULL
from small_study import TASK


@pytest.fixture(scope="module")
def later(study, later_study):
    """The house, and what was to be made in it on top of the finished study."""
    config = study.write_config("later.json", **CHANGES)
    return later_study, study.jobs(config)


def record(house, name):
    return json.loads((house.results / name / "results.json").read_text())


def test_what_is_trained_is_not_trained_again(later):
    _, planned = later
    models = {f"models/{{}}/{TASK}/fold_{fold}/seed_0/model.safetensors" for fold in (0, 1)}
    assert planned["train_model"] == {
        path.format(recipe) for path in models for recipe in ("views", "joint")
    }
    assert planned["predict_views"] == {
        f"predictions/{recipe}/{TASK}/fold_{fold}/seed_0/tta_2/test.parquet"
        for recipe in ("views", "student")
        for fold in (0, 1)
    }
    assert len(planned["pretrain_model"]) == 2
    assert "check_series" not in planned


def test_e2_answers_with_the_views_of_e1s_models(later):
    house, _ = later
    for name, recipe in (("e2", "views"), ("e6", "student")):
        inference = record(house, name)["compute"]["inference"]
        assert (inference["views"], inference["passes_per_prediction"]) == (2, 2)
        shown = pd.read_parquet(house.results / name / "predictions.parquet").set_index("id")
        for fold in (0, 1):
            folder = house.results / f"predictions/{recipe}/{TASK}/fold_{fold}/seed_0"
            table = pd.read_parquet(folder / "tta_2/test.parquet").set_index("id")
            pd.testing.assert_series_equal(
                shown.loc[table.index, "prediction"], table["prediction"], check_names=False
            )
            assert not table["prediction"].equals(
                pd.read_parquet(folder / "test.parquet").set_index("id")["prediction"]
            )
            split = json.loads((house.results / f"splits/{TASK}/fold_{fold}.json").read_text())
            calibration = json.loads((folder / "tta_2/calibration.json").read_text())
            assert calibration["n_validation"] <= len(split["validation"][calibration["holdout"]])


@pytest.mark.parametrize("name", ["e2", "e6"])
def test_the_exported_model_answers_with_the_same_views(later, tmp_path, name):
    house, _ = later
    done = house.program(
        "predict_structures.py", "--experiment", house.results / name, "--structures",
        "tiny.json.gz", "--device", "cpu", "--out", tmp_path / "answers.csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = pd.read_csv(tmp_path / "answers.csv", index_col="id")["prediction"]
    shown = pd.read_parquet(house.results / name / "predictions.parquet").set_index("id")
    exported = shown.loc[shown["fold"] == 0, "prediction"]  # the model of the first fold
    assert len(exported) > 10
    # Single precision; crystals share a batch with others than at test time.
    assert (answers[exported.index] - exported).abs().max() < 1e-4


def test_no_test_row_of_either_task_is_in_the_pretraining(later):
    house, _ = later
    for fold in (0, 1):
        folder = house.results / f"models/joint/{TASK}/fold_{fold}/seed_0"
        rows = pd.read_parquet(folder / "pretrain_rows.parquet")
        splits = [
            json.loads((house.results / f"splits/{task}/fold_{fold}.json").read_text())
            for task in (TASK, HULL)
        ]
        assert len(rows) > 5
        assert not set(rows["id"]) & {name for split in splits for name in split["test"]}
        fit = json.loads((folder / "fit.json").read_text())
        pretraining = json.loads((folder / "pretrain.json").read_text())["wall_time_sec"]
        assert fit["pretraining_time_sec"] == pretraining
        assert fit["wall_time_sec"] > pretraining


def test_the_decisions_and_the_ablation(later):
    house, _ = later
    outcomes = {name: record(house, name)["decision"]["rule"] for name in ("e1", "e2", "e5", "e6")}
    assert {outcomes[name]["rule"] for name in ("e1", "e2")} == {"adopt"}
    assert outcomes["e5"]["rule"] == "drop"
    assert outcomes["e6"] is None
    assert record(house, "e3")["decision"]["rule"]["outcome"] == "not applicable"
    table = pd.read_csv(house.results / "ablation.csv")
    pairs = set(zip(table["experiment"], table["against"], strict=True))
    assert pairs >= {("e1", "e0"), ("e2", "e1"), ("e2", "e0"), ("e5", "e0"), ("e6", "e4")}
    assert table["delta_mae"].is_monotonic_decreasing


@pytest.fixture
def hopeless(study, tmp_path):
    """The finished study, but E0 has learned nothing, and the student is yet to be trained."""
    house = study.copy(tmp_path / "house")
    for fold in (0, 1):
        answers = house.results / f"predictions/baseline/{TASK}/fold_{fold}/seed_0/test.parquet"
        rows = pd.read_parquet(answers)
        rows.assign(prediction=rows["prediction"] + 9.0).to_parquet(answers, index=False)
        shutil.rmtree(house.results / f"models/student/{TASK}/fold_{fold}")
    return house


def test_a_hopeless_first_experiment_stops_the_series_unless_forced(hopeless):
    config = hopeless.write_config("stop.json", series={"pretrained": {"action": "stop"}})
    student = f"results/tiny/models/student/{TASK}/fold_0/seed_0/model.safetensors"
    done = hopeless.snakemake(student, config=config)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "error: series" in line]
    assert done.returncode != 0
    assert len(set(said)) == 1
    assert "e0 has an MAE of" in said[0]
    assert "--config force=true goes on" in said[0]
    assert not (hopeless.root / student).exists()
    done = hopeless.snakemake(student, "--config", "force=true", config=config)
    assert done.returncode == 0, done.stderr
    assert "warning: series pretrained: e0 has an MAE of" in done.stdout + done.stderr
    assert (hopeless.root / student).exists()
    # Forced or not is a matter of the check: what has been trained stays as it is.
    planned = hopeless.snakemake(student, "-n", "--quiet", "host", config=config)
    assert "rule check_series" in planned.stdout + planned.stderr
    assert "rule train_model" not in planned.stdout + planned.stderr
