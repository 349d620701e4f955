"""How near the test is to the training data, in words that fit the kind of split."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from experiment_files import make_study
from foldwise.common.files import read_json, write_json, write_parquet
from foldwise.experiment.comparison.leakage import leakage_block
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.experiment.record.matbench_files import matbench_block


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study"))


def statement(study, **report):
    path = study.root / "duplicates.json"
    before = read_json(path)
    write_json(path, {**before, **report})
    inputs = load_inputs(study.paths("e0"), "e0")
    write_json(path, before)
    return leakage_block(inputs)["duplicates"]["statement"]


def test_a_report_without_the_newer_counts_reads_as_before(study):
    assert statement(study) == (
        "Near-copies: of 60 test crystals, 57 have the formula of a training crystal of their "
        "fold; 4 match one in structure as well. The folds are random, so this is part of the "
        "protocol; on crystals of a new kind, errors are probably larger."
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("random", "The folds are random"),
        ("official", "The folds are random"),
        ("chemical_system", "cut by set of elements, so the error is one for crystals that differ"),
        ("time", "cut by time, the test always later"),
        ("file", "The folds are the user's own."),
    ],
)
def test_the_kind_of_split_decides_what_near_copies_mean(study, kind, told):
    counts = {"n_test": 60, "n_test_same_formula": 3, "n_test_same_structure": 0,
              "n_test_same_system": 12, "n_test_new_element": 5}  # fmt: skip
    text = statement(study, kind=kind, all_folds=counts)
    assert told in text
    assert "12 are of elements that stand together in a training crystal too; 5 hold" in text


def test_folds_of_one_s_own_make_no_matbench_file(study):
    inputs = load_inputs(study.paths("e0"), "e0")
    official = SimpleNamespace(
        task="matbench_jdft2d", splits={0: SimpleNamespace(official=False)}, targets=inputs.targets
    )
    block = matbench_block(official, SimpleNamespace(table=inputs.targets))
    assert block["reason"] == "The folds are not the published ones of matbench_jdft2d."


@pytest.mark.parametrize(("kind", "passed"), [("time", True), ("file", True), ("random", False)])
def test_rows_that_no_fold_tests_are_counted_where_the_split_has_such(tmp_path, kind, passed):
    """A row that another kind of split never tests has been lost."""
    study = make_study(tmp_path)
    targets = pd.read_parquet(tmp_path / "targets.parquet")
    early = targets.iloc[:1].assign(id="early")
    write_parquet(tmp_path / "targets.parquet", pd.concat([targets, early]))
    for name, changes in {
        "card.json": {"n_source": 62, "n_accepted": 61},
        "duplicates.json": {"kind": kind},
    }.items():
        write_json(tmp_path / name, {**read_json(tmp_path / name), **changes})
    for fold in range(5):
        path = tmp_path / f"fold_{fold}.json"
        split = read_json(path)
        write_json(path, {**split, "train": [*split["train"], "early"]})
    write_experiment(load_inputs(study.paths("e0"), "e0"), study.out("e0"))
    review = read_json(study.out("e0") / "diagnostics" / "review.json")
    counts = next(check for check in review["checks"] if check["name"] == "counts")
    assert counts["passed"] is passed, counts
    assert ("1 that no fold tests = 62" in counts["detail"]) == passed


def test_weights_from_elsewhere_are_leakage_in_any_model(study):
    """A language model, or a program that says what its weights have seen."""
    inputs = load_inputs(study.paths("e0"), "e0")
    texts = "texts that nobody lists"
    models = [
        replace(model, fit=model.fit | {"hyperparams": {"pretrained_on": texts}, "kind": "text"})
        for model in inputs.models
    ]
    recipe = {"model": "text"}
    block = leakage_block(replace(inputs, models=models, config=inputs.config | {"recipe": recipe}))
    assert block["pretrained"]
    assert block["test_structures_presumably_seen"]
    assert block["pretrained_on"] == texts
    assert texts in block["statement"]
