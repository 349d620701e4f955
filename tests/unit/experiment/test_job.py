"""The whole folder of each experiment of a made-up study."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from experiment_files import EXPERIMENTS, N_FOLDS, make_study
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json, write_parquet
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.schema import check_record
from foldwise.experiment.job import write_experiment
from foldwise.network.transform import RIDGE
from foldwise.study.recipe import SCHEDULER

SECTIONS = ["1. PURPOSE", "2. SCOPE", "3. MODEL", "4. RESULTS", "5. METRICS DEFINITION",
            "6. NAVIGATION", "7. COMPARISON CONTEXT"]  # fmt: skip
MUST_HAVE = {"config_id", "task", "seed", "hyperparams", "target_transform", "fit", "metrics",
             "compute"}  # fmt: skip


def run_all(study):
    for name in EXPERIMENTS:
        write_experiment(load_inputs(study.paths(name), name), study.out(name))
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return run_all(make_study(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def scratch_study(tmp_path_factory):
    return run_all(make_study(tmp_path_factory.mktemp("scratch"), init="scratch"))


@pytest.fixture
def copy(study, tmp_path):
    """A copy of the study whose files a test may spoil."""
    shutil.copytree(study.root, tmp_path / "study")
    return type(study)(tmp_path / "study", study.init)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_record_follows_the_schema_and_has_every_field(study, name):
    record = read_json(study.out(name) / "results.json")
    check_record(record, name)
    assert set(record) >= MUST_HAVE
    assert record["config_id"].startswith(f"{name}_")
    assert len(record["metrics"]["folds"]) == N_FOLDS
    assert (record["ensemble"] is not None) == (name == "e3")
    assert record["compute"]["inference"]["passes_per_prediction"] == (3 if name == "e3" else 1)
    assert len(record["fit"]["val_mae_last5"]) == 5
    assert record["hyperparams"]["scheduler"] == SCHEDULER
    assert record["hyperparams"]["precision"] == record["compute"]["precision"] == "float32"
    assert record["target_transform"]["ridge"] == RIDGE
    assert record["metrics"] == read_json(study.out(name) / "metrics.json")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_metrics_are_those_of_scikit_learn_on_the_written_predictions(study, name):
    record = read_json(study.out(name) / "results.json")
    table = pd.read_parquet(study.out(name) / "predictions.parquet")
    maes, rmses = [], []
    for fold in record["metrics"]["folds"]:
        rows = table[table["fold"] == fold["fold"]]
        maes.append(mean_absolute_error(rows["target"], rows["prediction"]))
        rmses.append(root_mean_squared_error(rows["target"], rows["prediction"]))
        assert fold["mae"] == pytest.approx(maes[-1], abs=1e-12)
        assert fold["abs_err_p95"] == pytest.approx(np.percentile(rows["abs_error"], 95), abs=1e-12)
        assert fold["n"] == len(rows)
    aggregate = record["metrics"]["aggregate"]
    assert aggregate["mae_mean"] == pytest.approx(np.mean(maes), abs=1e-12)
    assert aggregate["mae_std"] == pytest.approx(np.std(maes, ddof=0), abs=1e-12)
    assert aggregate["rmse_mean"] == pytest.approx(np.mean(rmses), abs=1e-12)
    assert table["abs_error"].is_monotonic_decreasing


def test_an_ensemble_answers_with_its_mean_and_a_single_model_without_std(study):
    single = pd.read_parquet(study.out("e0") / "predictions.parquet")
    several = pd.read_parquet(study.out("e3") / "predictions.parquet").set_index("id")
    assert single["std"].isna().all()
    for fold in range(N_FOLDS):
        ensemble = pd.read_parquet(study.root / f"ensemble_{fold}.parquet").set_index("id")
        rows = several[several["fold"] == fold]
        assert rows["prediction"].equals(ensemble["mean"].loc[rows.index].rename("prediction"))
        assert rows["std"].equals(ensemble["std"].loc[rows.index])


def test_without_ensemble_files_the_mean_is_computed(copy):
    paths = copy.paths("e3")
    bare = type(paths)(**{**vars(paths), "ensembles": []})
    write_experiment(load_inputs(bare, "e3"), copy.root / "bare")
    left = pd.read_parquet(copy.root / "bare" / "predictions.parquet").set_index("id")
    right = pd.read_parquet(copy.out("e3") / "predictions.parquet").set_index("id")
    pd.testing.assert_frame_equal(left.sort_index(), right.sort_index(), rtol=1e-12)


def test_readme_answers_the_seven_questions_in_lines_that_fit(study):
    for name in EXPERIMENTS:
        text = (study.out(name) / "README.txt").read_text()
        positions = [text.index(f"\n{section}\n") for section in SECTIONS]
        assert positions == sorted(positions)
        assert max(map(len, text.splitlines())) <= 100
        assert "nearly all of them were presumably" in " ".join(text.split())


def test_one_fold_has_no_spread_over_folds(copy):
    for name in ("e0", "e3"):
        paths = copy.paths(name)
        config = read_json(paths.config)
        write_json(paths.config, config | {"folds": [0]})
        one = {
            key: [path for path in value if "fold_0" in str(path)]
            for key, value in vars(paths).items()
            if key in ("splits", "fits", "histories", "predictions", "timings")
        }
        first = type(paths)(**{**vars(paths), **one, "ensembles": paths.ensembles[:1]})
        write_experiment(load_inputs(first, name), copy.out(name))
        text = (copy.out(name) / "README.txt").read_text()
        assert "MAE of the one fold" in text
        assert "+-" not in text
    assert "E0   " in text


def test_a_soft_weight_chosen_on_the_hold_out_is_said_and_no_contradiction(copy):
    path = copy.paths("e4").config
    config = read_json(path)
    config["recipe"]["teacher"]["soft_weight"] = [0.25, 0.5]
    write_json(path, config)
    write_experiment(load_inputs(copy.paths("e4"), "e4"), copy.out("e4"))
    text = " ".join((copy.out("e4") / "README.txt").read_text().split())
    assert "their mean weighs 0.5 (of 0.25 and 0.5, by the error on the hold-out)" in text
    checks = read_json(copy.out("e4") / "diagnostics" / "review.json")["checks"]
    assert next(one for one in checks if one["name"] == "resolved config")["passed"] is True


def test_a_copy_has_no_dft_value_and_the_page_gives_it_none(copy):
    path = copy.paths("e4").config
    config = read_json(path)
    config["recipe"]["teacher"]["targets"] = "augmented"
    write_json(path, config)
    write_experiment(load_inputs(copy.paths("e4"), "e4"), copy.out("e4"))
    text = " ".join((copy.out("e4") / "README.txt").read_text().split())
    assert "a copy of a crystal is fitted to their mean alone, a crystal to its DFT value." in text
    assert "weighs 0.5" not in text


def test_e4_compares_itself_with_e0_and_e3(study):
    record = read_json(study.out("e4") / "results.json")
    text = " ".join((study.out("e4") / "README.txt").read_text().split())
    assert [entry["against"] for entry in record["decision"]["comparisons"]] == ["e0", "e3"]
    for entry in record["decision"]["comparisons"]:
        low, high = entry["interval"]
        assert low < entry["delta_mae"] < high
        assert entry["clusters"] == 10
        assert entry["replicates"] == [1, 1]
        assert not entry["star"]
        assert "no other training seed" in entry["verdict"]
        assert entry["verdict"] in text
        assert entry["mae"] - entry["mae_against"] == pytest.approx(entry["delta_mae"])
    assert "less accurate than E3" in text
    assert "E3 3 forward passes through 1,237,575" in text
    assert "E4 is 3.0 times as fast as E3" in text
    assert "their mean weighs 0.5 and the DFT value 0.5" in text
    both = [read_json(study.out(name) / "results.json") for name in ("e3", "e4")]
    total = sum(entry["compute"]["wall_time_sec"] for entry in both)
    assert record["compute"]["wall_time_with_teachers_sec"] == pytest.approx(total)


def test_a_study_from_scratch_says_so_and_nothing_of_contamination(scratch_study):
    record = read_json(scratch_study.out("e4") / "results.json")
    text = (scratch_study.out("e4") / "README.txt").read_text()
    assert record["leakage"]["test_structures_presumably_seen"] is False
    assert "Trained from scratch" in text
    assert "MPtrj" not in text


def test_a_student_from_scratch_of_pretrained_teachers_is_contaminated(copy):
    config = read_json(copy.root / "e4.json")
    config["recipe"]["init"] = "scratch"
    write_json(copy.root / "e4.json", config)
    write_experiment(load_inputs(copy.paths("e4"), "e4"), copy.out("e4"))
    leakage = read_json(copy.out("e4") / "results.json")["leakage"]
    assert (leakage["pretrained"], leakage["teacher_pretrained"]) == (False, True)
    assert leakage["test_structures_presumably_seen"]
    assert "teachers started from" in leakage["statement"]


def test_groups_are_worst_first_and_cover_all_rows(study):
    folder = study.out("e3") / "groups"
    index = pd.read_csv(folder / "_index.csv")
    table = pd.read_parquet(study.out("e3") / "predictions.parquet")
    assert index["mae"].is_monotonic_decreasing
    assert index.groupby("kind")["n"].sum().eq(len(table)).all()
    assert index.groupby("kind")["error_share"].sum().to_numpy() == pytest.approx(1.0)
    assert set(index["kind"]) == {"anion_family", "crystal_system", "n_elements", "target_quintile"}
    for row in index.itertuples():
        group = folder / row.group
        samples = pd.read_csv(group / "per_sample.csv")
        assert samples["abs_error"].is_monotonic_decreasing
        assert len(samples) == len(pd.read_csv(group / "predictions.csv")) == row.n
        assert samples["abs_error"].mean() == pytest.approx(row.mae, rel=1e-6)
        shown = samples["summary"].dropna()
        assert len(shown) == min(2, row.n) == len(list((group / "samples").iterdir()))
        assert all((group / path).is_file() for path in shown)


def test_a_sample_shows_all_predictions_at_a_glance(study):
    folder = study.out("e3") / "groups" / "crystal_system=cubic" / "samples"
    text = next(folder.rglob("summary.txt")).read_text()
    for part in ("=== INPUT ===", "=== OUTPUT ===", "=== METADATA ===", "prediction of E3",
                 "prediction of E0", "seed 2:", "target:", "lowest training target:"):  # fmt: skip
        assert part in text


def test_diagnostics(study):
    folder = study.out("e4") / "diagnostics"
    failures = pd.read_csv(folder / "failures.csv")
    assert failures["stage"].tolist() == ["dataset", "graphs"]
    flat = pd.read_csv(folder / "actual_vs_predicted.csv")
    assert flat["abs_error"].is_monotonic_decreasing
    assert len(flat) == 59
    ranges = read_json(folder / "value_ranges.json")
    assert ranges["all"]["bias"] == pytest.approx(flat["residual"].mean())


def test_review_accounts_for_every_crystal(study):
    review = read_json(study.out("e4") / "diagnostics" / "review.json")
    checks = {check["name"]: check for check in review["checks"]}
    assert checks["counts"]["passed"] is True
    assert "61 crystals in; 59 predicted + 2 failures = 61" in checks["counts"]["detail"]
    assert review["failed"] == 0
    assert review["passed"] + review["look"] + review["not_applicable"] == len(review["checks"])


def test_review_sees_lost_crystals_and_other_settings(copy):
    card = read_json(copy.root / "card.json")
    write_json(copy.root / "card.json", {**card, "n_source": 75})
    fit = read_json(copy.model("baseline", 2, 0) / "fit.json")
    fit["hyperparams"]["lr"] = 1.0
    write_json(copy.model("baseline", 2, 0) / "fit.json", fit)
    review = write_experiment(load_inputs(copy.paths("e0"), "e0"), copy.out("e0"))
    failed = [check for check in review["checks"] if check["passed"] is False]
    assert [check["name"] for check in failed] == ["counts", "resolved config"]
    assert "lr is 1.0, config says 0.003" in failed[1]["detail"]


def test_review_sees_a_collapsed_model(copy):
    for fold in range(N_FOLDS):
        path = copy.model("baseline", fold, 0) / "test.parquet"
        write_parquet(path, pd.read_parquet(path).assign(prediction=-1.5))
    review = write_experiment(load_inputs(copy.paths("e0"), "e0"), copy.out("e0"))
    failed = {check["name"] for check in review["checks"] if check["passed"] is False}
    assert failed == {"prediction distribution", "better than simple models"}


def test_a_perfect_model_breaks_nothing(copy):
    targets = pd.read_parquet(copy.root / "targets.parquet").set_index("id")["target"]
    for fold in range(N_FOLDS):
        path = copy.model("baseline", fold, 0) / "test.parquet"
        table = pd.read_parquet(path)
        write_parquet(path, table.assign(prediction=targets.loc[table["id"]].to_numpy()))
    review = write_experiment(load_inputs(copy.paths("e0"), "e0"), copy.out("e0"))
    assert review["failed"] == 0
    assert read_json(copy.out("e0") / "results.json")["metrics"]["pooled"]["interval"] == [0, 0]


def test_many_equal_targets_leave_a_quintile_out(copy):
    path = copy.root / "targets.parquet"
    table = pd.read_parquet(path)
    write_parquet(path, table.assign(target=table["target"].clip(lower=-1.0)))
    write_experiment(load_inputs(copy.paths("e0"), "e0"), copy.out("e0"))
    slices = read_json(copy.out("e0") / "results.json")["error_slices"]
    assert "q2" not in slices["mae_by_target_quantile"]
    index = pd.read_csv(copy.out("e0") / "groups" / "_index.csv")
    assert "target_quintile=2" not in set(index["group"])


def test_the_same_inputs_give_the_same_bytes(copy, study):
    before = content(copy.out("e4"))
    write_experiment(load_inputs(copy.paths("e4"), "e4"), copy.out("e4"))
    assert content(copy.out("e4")) == before == content(study.out("e4"))


def test_figures_are_images(study):
    for stem in ("parity", "error_distribution", "error_by_target", "learning_curves"):
        assert (study.out("e4") / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (study.out("e4") / "figures" / f"{stem}.svg").read_text()[:800]


def test_an_old_folder_is_replaced_whole_or_not_at_all(copy, monkeypatch):
    old = content(copy.out("e4"))
    stale = copy.out("e4") / "groups" / "gone" / "metrics.json"
    write_json(stale, {})
    monkeypatch.setattr("foldwise.experiment.job.readme_text", lambda *_: 1 / 0)
    inputs = load_inputs(copy.paths("e4"), "e4")
    with pytest.raises(ZeroDivisionError):
        write_experiment(inputs, copy.out("e4"))
    assert stale.exists()
    monkeypatch.undo()
    write_experiment(inputs, copy.out("e4"))
    assert content(copy.out("e4")) == old
    assert sorted(path.name for path in (copy.root / "results").iterdir()) == ["e0", "e3", "e4"]


def test_a_folder_with_other_things_is_never_replaced(copy):
    thesis = copy.out("e4") / "thesis.tex"
    thesis.write_text("years of work")
    with pytest.raises(FoldwiseError, match=r"holds 'thesis.tex'"):
        write_experiment(load_inputs(copy.paths("e4"), "e4"), copy.out("e4"))
    assert thesis.exists()


def test_one_member_fold_and_element_are_enough(tmp_path):
    study = make_study(tmp_path)
    config = read_json(tmp_path / "e0.json")
    write_json(tmp_path / "e0.json", {**config, "folds": [1]})
    paths = study.paths("e0")
    one = {key: getattr(paths, key)[1:2] for key in
           ("splits", "fits", "histories", "predictions", "timings")}  # fmt: skip
    review = write_experiment(load_inputs(type(paths)(**{**vars(paths), **one}), "e0"),
                              study.out("e0"))  # fmt: skip
    counts = next(check for check in review["checks"] if check["name"] == "counts")
    assert counts["passed"] == "look"
    record = json.loads((study.out("e0") / "results.json").read_text())
    assert record["metrics"]["aggregate"]["mae_std"] == 0.0


def test_nothing_tells_of_the_machine_or_the_time(study):
    for path in study.out("e4").rglob("*"):
        if path.suffix in {".json", ".txt", ".csv", ".svg"}:
            assert str(Path.home()) + "/" not in path.read_text()
            assert str(study.root) not in path.read_text()
