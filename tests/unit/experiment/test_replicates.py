"""An experiment that was made several times over, from its models to its pages."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiment_files import N_FOLDS, make_study
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_csv, write_json, write_parquet
from foldwise.experiment.comparison.paired import paired_differences
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.rows import build_rows
from foldwise.experiment.job import write_experiment
from foldwise.experiment.pages.ablation import ablation_table, write_ablation
from foldwise.experiment.pages.summary import read_records, result_line

pytestmark = pytest.mark.slow  # buys: every replicate is judged on folders really written

REPLICATES = [[0], [1], [2]]


def paths(study, name, recipe):
    """Input files of an experiment with three replicates."""
    models = [study.model(recipe, fold, seed) for fold in range(N_FOLDS) for (seed,) in REPLICATES]
    files = {
        "fits": "fit.json", "histories": "history.csv", "predictions": "test.parquet",
        "timings": "test_timing.json",
    }  # fmt: skip
    lists = {key: [folder / file for folder in models] for key, file in files.items()}
    compare = [study.out("e0")][: name == "e4"]
    return replace(study.paths(name), **lists, compare=compare)


def add_students(study):
    """Two more students, each a little off the first one."""
    generator = np.random.default_rng(5)
    for fold in range(N_FOLDS):
        first = study.model("student", fold, 0)
        for seed in (1, 2):
            other = study.model("student", fold, seed)
            write_json(other / "fit.json", {**read_json(first / "fit.json"), "seed": seed})
            write_csv(other / "history.csv", pd.read_csv(first / "history.csv"))
            write_json(other / "test_timing.json", read_json(first / "test_timing.json"))
            table = pd.read_parquet(first / "test.parquet")
            table["prediction"] += generator.normal(0, 0.005, len(table))
            write_parquet(other / "test.parquet", table)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = make_study(tmp_path_factory.mktemp("replicates"))
    add_students(made)
    write_experiment(load_inputs(made.paths("e0"), "e0"), made.root / "once")
    for name, recipe in (("e0", "baseline"), ("e4", "student")):
        config = read_json(made.paths(name).config) | {"replicates": REPLICATES}
        write_json(made.paths(name).config, config)
        write_experiment(load_inputs(paths(made, name, recipe), name), made.out(name))
    return made


@pytest.fixture(scope="module")
def records(study):
    return {name: read_json(study.out(name) / "results.json") for name in ("e0", "e4")}


def test_the_first_replicate_is_what_it_was_and_each_is_judged_on_its_own(study, records):
    once = read_json(study.root / "once" / "results.json")
    for key in ("folds", "aggregate", "pooled", "baselines"):
        assert records["e0"]["metrics"][key] == once["metrics"][key]
    assert records["e0"]["fit"] == once["fit"]
    assert once["metrics"]["replicates"] == [once["metrics"]["aggregate"]["mae_mean"]]
    assert once["metrics"]["over_replicates"] is None
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")["target"]
    for seed, mae in enumerate(records["e0"]["metrics"]["replicates"]):
        by_fold = []
        for fold in range(N_FOLDS):
            table = pd.read_parquet(study.model("baseline", fold, seed) / "test.parquet")
            error = table["prediction"].to_numpy() - targets.loc[table["id"]].to_numpy()
            by_fold.append(np.abs(error).mean())
        assert mae == pytest.approx(np.mean(by_fold))
    block = records["e0"]["metrics"]["over_replicates"]
    assert block["mae_mean"] == pytest.approx(np.mean(records["e0"]["metrics"]["replicates"]))
    assert block["mae_sd"] == pytest.approx(np.std(records["e0"]["metrics"]["replicates"], ddof=1))
    assert block["seeds"] == REPLICATES


def test_a_comparison_covers_seeds_and_is_tested(study, records):
    (entry,) = records["e4"]["decision"]["comparisons"]
    assert (entry["method"], entry["replicates"]) == ("formulas and seeds", [3, 3])
    means = [np.mean(pooled(study, name)) for name in ("e4", "e0")]
    assert entry["mae"] == pytest.approx(means[0])
    assert entry["delta_mae"] == pytest.approx(means[0] - means[1])
    assert entry["p_adjusted"] == entry["p_value"]
    assert entry["star"] == (entry["p_adjusted"] < 0.05)
    assert "Tested: that both sides" in entry["verdict"]
    assert "As trained here" not in entry["verdict"]


def pooled(study, name):
    table = pd.read_parquet(study.out(name) / "predictions.parquet")
    columns = ["prediction", "replicate_1", "replicate_2"]
    return [float((table[column] - table["target"]).abs().mean()) for column in columns]


def test_pages_show_mean_and_spread(study, records, tmp_path):
    text = (study.out("e4") / "README.txt").read_text()
    assert "MAE of the replicates" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "of 3 replicates" in result_line(records["e4"])
    folders = [study.out(name) for name in ("e0", "e4")]
    write_ablation(folders, tmp_path / "a.md", tmp_path / "a.csv", tmp_path / "a.png")
    page = (tmp_path / "a.md").read_text()
    assert "3 / 3" in page
    assert "(3)" in page


def test_a_comparison_has_one_star_in_its_record_and_on_the_page(study, records):
    page = ablation_table(read_records([study.out(name) for name in ("e0", "e4")]))
    (entry,) = records["e4"]["decision"]["comparisons"]
    assert page[["p_adjusted", "star"]].iloc[0].tolist() == [entry["p_adjusted"], entry["star"]]
    inputs = load_inputs(paths(study, "e4", "student"), "e4", star_comparisons=1_000)
    (paired,) = paired_differences(inputs, build_rows(inputs))
    assert paired.adjusted == pytest.approx(min(1.0, 1_000 * entry["p_value"]))


def test_a_missing_replicate_is_refused(study):
    with pytest.raises(FoldwiseError, match=r"the config asks for .*\(0, 2\)"):
        load_inputs(study.paths("e0"), "e0")
