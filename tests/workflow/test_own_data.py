"""The walk of docs/own-data.md, line by line, in a copy of the repository."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

from paths import REPOSITORY
from small_study import build_house

TEN = REPOSITORY / "tests" / "data" / "ten_crystals"
PAGE = (REPOSITORY / "docs" / "own-data.md").read_text()
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]

AFTER_TRAINING = re.compile(r"mine/e0|predictions\.csv")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    copy = build_house(tmp_path_factory.mktemp("own") / "house")
    shutil.copytree(REPOSITORY / "tests" / "data", copy.root / "tests" / "data")
    return copy


def test_the_page_s_commands_are_found():
    assert [line.split()[0] for line in LINES].count("snakemake") == 2
    assert any("new_study.py" in line for line in LINES)


@pytest.fixture(scope="module")
def walked(house):
    """Everything but the training, which a slow test runs: studies, splits and their report."""
    said = {}
    for line in LINES:
        if not AFTER_TRAINING.search(line):
            said[line] = house.call("bash", "-c", line)
    return said


def test_every_line_but_the_training_runs(walked):
    for line, done in walked.items():
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_the_study_splits_by_the_column_of_the_page(house, walked):
    report = json.loads(
        (house.root / "results/by_batch/splits/by_batch/duplicates.json").read_text()
    )
    batch = pd.read_csv(REPOSITORY / "tests/data/ten_crystals.csv").set_index("id")["batch"]
    assert report["kind"] == "column"
    assert report["all_folds"]["n_test"] == 10
    for fold in range(5):
        split = json.loads(
            (house.root / f"results/by_batch/splits/by_batch/fold_{fold}.json").read_text()
        )
        assert not set(batch[split["test"]]) & set(batch[split["train"]])


def test_the_training_can_be_planned(house, walked):
    """The command that new_study.py names is one that Snakemake takes."""
    line = next(line for line in LINES if "/e0/results.json" in line)
    done = house.call("bash", "-c", line.replace("snakemake", "snakemake --dry-run", 1))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.proof  # buys: the walk to its end, weights fine-tuned on the ten crystals
def test_the_training_lines_run_and_say_how_near_the_test_is(house, walked):
    for line in LINES:
        if AFTER_TRAINING.search(line):
            done = house.call("bash", "-c", line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    record = json.loads((house.root / "results/mine/e0/results.json").read_text())
    counts = record["leakage"]["duplicates"]
    assert (counts["n_test"], counts["same_formula"]) == (10, 0)
    assert "The folds are cut by formula" in counts["statement"]
    assert "hold an element that no training crystal" in counts["statement"]
    answers = pd.read_csv(house.root / "predictions.csv")
    assert list(answers.columns) == ["id", "prediction", "low", "high", "warning"]
    assert sorted(answers["id"]) == sorted(path.stem for path in TEN.iterdir())
    assert answers["prediction"].notna().all()
    rows = pd.read_parquet(house.root / "results/mine/e0/predictions.parquet")
    targets = pd.read_csv(REPOSITORY / "tests/data/ten_crystals.csv").set_index("id")["e_form"]
    assert rows.set_index("id")["target"].to_dict() == targets.to_dict()
    assert yaml.safe_load((house.root / "config/mine.yaml").read_text())["run"] == "mine"
