"""What a failed check does to a run, in its folder and in the registry."""

import pandas as pd
import pytest

from experiment_files import N_FOLDS, make_study
from foldwise.common.files import read_json, write_json, write_parquet
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.experiment.pages.summary import results_markdown
from foldwise.experiment.review.outcomes import result_checks
from foldwise.tracking.record.lifecycle import decide
from foldwise.tracking.record.registry import Registry
from tracking_files import finished_run, make_config

pytestmark = pytest.mark.slow  # buys: the verdict of the review, on folders that are really written


@pytest.fixture
def study(tmp_path):
    made = make_study(tmp_path)
    for name in ("e0", "e3"):
        path = made.paths(name).config
        rule = {"rule": "adopt", "against": "e0"} if name == "e3" else None
        write_json(path, read_json(path) | {"decision": rule})
    write_experiment(load_inputs(made.paths("e0"), "e0"), made.out("e0"))
    return made


def lose_a_crystal(study):
    card = read_json(study.root / "card.json")
    write_json(study.root / "card.json", {**card, "n_source": 75})


def test_a_failed_check_takes_a_favourable_outcome_back(study):
    write_experiment(load_inputs(study.paths("e3"), "e3"), study.out("e3"))
    sound = read_json(study.out("e3") / "results.json")
    assert sound["decision"]["rule"]["outcome"] == "adopted"
    assert sound["decision"]["review"] is None
    lose_a_crystal(study)
    write_experiment(load_inputs(study.paths("e3"), "e3"), study.out("e3"))
    record = read_json(study.out("e3") / "results.json")
    assert record["decision"]["rule"]["outcome"] == "needs review"
    assert record["decision"]["review"].startswith("E3 needs review: 1 check failed (counts:")
    text = " ".join((study.out("e3") / "README.txt").read_text().split())
    assert record["decision"]["review"] in text
    page = results_markdown([read_json(study.out("e0") / "results.json"), record])
    assert record["decision"]["review"] in page
    best = page.split("best")[1]
    assert "E0 (" in best
    assert "E3 (" not in best


def test_a_run_that_needs_review_is_never_the_best_until_a_person_says_so(tmp_path):
    registry = Registry(tmp_path)
    sound = finished_run(registry, make_config(lr=0.001), 0.05)
    flawed = finished_run(registry, make_config(lr=0.002), 0.01, review="E0 needs review: counts")
    entries = registry.entries()
    assert entries[flawed["identity"]]["decision"]["verdict"] == "needs review"
    assert entries[flawed["identity"]]["decision"]["reason"] == "E0 needs review: counts"
    assert not entries[flawed["identity"]]["is_best"]
    assert entries[sound["identity"]]["is_best"]
    decide(registry, flawed["identity"], "keep", "read every row")
    assert registry.entries()[flawed["identity"]]["is_best"]


def scaled(study, factor):
    """E3 with errors of its own times `factor`."""
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")["target"]
    for fold in range(N_FOLDS):
        path = study.root / f"ensemble_{fold}.parquet"
        table = pd.read_parquet(path)
        true = targets.loc[table["id"]].to_numpy()
        write_parquet(path, table.assign(mean=true + factor * (table["mean"] - true)))
    write_experiment(load_inputs(study.paths("e3"), "e3"), study.out("e3"))
    review = read_json(study.out("e3") / "diagnostics" / "review.json")
    return {check["name"]: check for check in review["checks"]}


@pytest.mark.parametrize(
    ("factor", "step", "too_good"), [(0.9, True, True), (3.0, False, True), (0.2, True, False)]
)
def test_the_step_before_and_results_that_are_too_good(study, factor, step, too_good):
    checks = scaled(study, factor)
    assert checks["step of the series"]["passed"] is step
    assert checks["not too good"]["passed"] is too_good
    record = read_json(study.out("e3") / "results.json")
    assert (record["decision"]["review"] is None) == (step and too_good)


def test_no_better_than_the_step_before_asks_for_a_look(study):
    config = read_json(study.paths("e3").config)
    write_json(study.paths("e3").config, config | {"decision": None})
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")["target"]
    for fold in range(N_FOLDS):
        path = study.root / f"ensemble_{fold}.parquet"
        own = pd.read_parquet(study.model("baseline", fold, 0) / "test.parquet").set_index("id")
        table = pd.read_parquet(path)
        # The error of E0, mirrored: as large, but another prediction.
        mirrored = 2 * targets.loc[table["id"]] - own["prediction"].loc[table["id"]]
        write_parquet(path, table.assign(mean=mirrored.to_numpy()))
    review = write_experiment(load_inputs(study.paths("e3"), "e3"), study.out("e3"))
    checks = {check["name"]: check for check in review["checks"]}
    assert checks["step of the series"]["passed"] == "look"
    assert "diminishing returns" in checks["step of the series"]["detail"]


@pytest.mark.parametrize(("mae", "passed"), [(10.0, False), (30.0, True)])
def test_far_better_than_everything_published(study, mae, passed):
    inputs = load_inputs(study.paths("e0"), "e0")
    inputs.config["task"] = "matbench_phonons"
    record = read_json(study.out("e0") / "results.json")
    record["matbench"]["written"] = True
    record["leakage"]["test_structures_presumably_seen"] = False
    record["metrics"]["aggregate"]["mae_mean"] = mae
    record["metrics"]["fallback"] = None
    checks = {check.name: check for check in result_checks(inputs, record)}
    assert checks["not too good beside published results"].passed is passed
