"""The page on which every experiment stands beside those it is compared with."""

import pandas as pd
import pytest

from experiment_files import EXPERIMENTS, make_study
from foldwise.common.files import read_json, write_json
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.experiment.pages.ablation import ablation_table, device_seconds, write_ablation
from foldwise.experiment.pages.summary import read_records


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = make_study(tmp_path_factory.mktemp("ablation"))
    for name in EXPERIMENTS:
        path = made.paths(name).config
        rule = {"rule": "adopt", "against": "e0"} if name == "e3" else None
        write_json(path, read_json(path) | {"decision": rule})
        write_experiment(load_inputs(made.paths(name), name), made.out(name))
    return made


@pytest.fixture(scope="module")
def records(study):
    return read_records([study.out(name) for name in EXPERIMENTS])


def test_one_row_per_comparison_the_largest_loss_first(records):
    table = ablation_table(records)
    pairs = set(zip(table["experiment"], table["against"], strict=True))
    assert pairs == {("e3", "e0"), ("e4", "e0"), ("e4", "e3")}
    assert table["delta_mae"].is_monotonic_decreasing
    row = table[table["against"] == "e0"].set_index("experiment").loc["e3"]
    by_name = {record["experiment"]: record for record in records}
    tails = [by_name[name]["metrics"]["aggregate"]["abs_err_p99_mean"] for name in ("e3", "e0")]
    assert row["delta_p99"] == pytest.approx(tails[0] - tails[1])
    assert (row["passes"], row["passes_against"], row["decision"]) == (3, 1, "adopted")
    assert row["low"] <= row["delta_mae"] <= row["high"]
    assert (row["verdict"], row["folds_better"], row["folds"]) == ("better", 5, 5)


def test_a_student_costs_its_teachers_too(records):
    by_name = {record["experiment"]: record for record in records}
    own = {name: record["compute"]["wall_time_sec"] for name, record in by_name.items()}
    assert device_seconds(by_name["e3"], by_name) == own["e3"]
    assert device_seconds(by_name["e4"], by_name) == own["e4"] + own["e3"]


def test_files(study, tmp_path):
    folders = [study.out(name) for name in EXPERIMENTS]
    for out in (tmp_path / "a", tmp_path / "b"):
        write_ablation(folders, out / "ablation.md", out / "t.csv", out / "ablation.png")
    for name in ("ablation.md", "t.csv", "ablation.png", "ablation.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    text = (tmp_path / "a" / "ablation.md").read_text()
    assert "- E3: Adopted: beside E0 its MAE is lower on 5 of 5 folds" in text
    assert text.index("| E0") < text.index("| E3")
    assert "](ablation.png)" in text
    assert len(pd.read_csv(tmp_path / "a" / "t.csv")) == 3


def test_a_study_without_comparisons(study, tmp_path):
    write_ablation([study.out("e0")], tmp_path / "m.md", tmp_path / "t.csv", tmp_path / "f.png")
    assert "No experiment of this study is compared" in (tmp_path / "m.md").read_text()
    assert (tmp_path / "f.svg").stat().st_size
