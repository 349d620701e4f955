"""Prediction intervals of a made-up study against a calculation of their own, and no test label."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiment_files import N_FOLDS, make_study
from foldwise.common.files import read_json, write_parquet
from foldwise.experiment.inputs.intervals import is_classification
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.rows import build_rows
from foldwise.experiment.record.intervals import intervals_block

NAMES = ("e0", "e3", "e4")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The made-up study, and answers of every model for a part of its training rows."""
    made = make_study(tmp_path_factory.mktemp("study"), rows=200)
    generator = np.random.default_rng(3)
    targets = pd.read_parquet(made.root / "targets.parquet").set_index("id")["target"]
    for recipe in ("baseline", "student"):
        for fold in range(N_FOLDS):
            train = read_json(made.root / f"fold_{fold}.json")["train"]
            for seed in (0, 1, 2):
                held = set(train[seed::4])
                values = targets[train] + generator.normal(0, 0.05, len(train))
                table = {"id": train, "prediction": values.to_numpy(),
                         "held_out": [name in held for name in train]}  # fmt: skip
                folder = made.model(recipe, fold, seed)
                folder.mkdir(parents=True, exist_ok=True)
                write_parquet(folder / "train.parquet", pd.DataFrame(table))
    return made


def paths_of(study, name):
    paths = study.paths(name)
    held_out = [fit.parent / "train.parquet" for fit in paths.fits]
    return replace(paths, held_out=held_out, compare=[])


def by_hand(study, name, fold):
    """Ends of a fold's intervals, from the files, with sorted lists alone."""
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")["target"]
    highs, lows = [], []
    for fit in study.paths(name).fits:
        if f"fold_{fold}" not in str(fit):
            continue
        train = pd.read_parquet(fit.parent / "train.parquet").set_index("id")
        held = train[train["held_out"]]["prediction"]
        test = pd.read_parquet(fit.parent / "test.parquet").set_index("id")["prediction"]
        errors = (held - targets[held.index]).abs().to_numpy()
        highs.append(test.to_numpy()[:, None] + errors)
        lows.append(test.to_numpy()[:, None] - errors)
    high, low = np.sort(np.hstack(highs)), -np.sort(-np.hstack(lows))
    rank = math.ceil(0.9 * (high.shape[1] + 1))
    return pd.DataFrame({"low": low[:, rank - 1], "high": high[:, rank - 1]}, index=test.index)


@pytest.mark.parametrize("name", NAMES)
def test_intervals_and_coverage_are_those_of_a_calculation_by_hand(study, name):
    inputs = load_inputs(paths_of(study, name), name)
    rows = build_rows(inputs)
    block = intervals_block(inputs, rows)
    expected = pd.concat([by_hand(study, name, fold) for fold in range(N_FOLDS)])
    table = rows.table.set_index("id")
    for end in ("low", "high"):
        np.testing.assert_allclose(table[end], expected.loc[table.index, end], atol=1e-9)
    inside = table["target"].between(table["low"], table["high"])
    assert block["coverage"] == pytest.approx(inside.mean())
    assert block["mean_width"] == pytest.approx((table["high"] - table["low"]).mean())
    for fold in block["folds"]:
        own = table["fold"] == fold["fold"]
        assert fold["coverage"] == pytest.approx(inside[own].mean())
    at_90 = next(entry for entry in block["reliability"] if entry["nominal"] == 0.9)
    assert at_90["coverage"] == pytest.approx(block["coverage"])
    assert block["scale"] == ("members" if name == "e3" else "constant")
    assert ("teachers were fitted" in block["statement"]) == (name == "e4")


def test_no_test_label_enters(study, tmp_path):
    """Other targets of a fold's test rows leave that fold's intervals as they are."""
    inputs = load_inputs(paths_of(study, "e3"), "e3")
    before = build_rows(inputs).fold(0).set_index("id")
    targets = inputs.targets.copy()
    targets.loc[inputs.splits[0].test, "target"] += 100.0
    after = build_rows(replace(inputs, targets=targets)).fold(0).set_index("id")
    for end in ("low", "high", "prediction"):
        pd.testing.assert_series_equal(after[end].loc[before.index], before[end])
    known = inputs.splits[0].train[0]
    targets.loc[known, "target"] += 100.0  # a held-out row's label does count
    moved = build_rows(replace(inputs, targets=targets)).fold(0).set_index("id")
    assert not moved["high"].loc[before.index].equals(before["high"])


def test_intervals_leave_all_other_columns_alone(study):
    without = build_rows(load_inputs(replace(paths_of(study, "e3"), held_out=[]), "e3"))
    with_ends = build_rows(load_inputs(paths_of(study, "e3"), "e3"))
    assert without.intervals == {}
    assert without.table["low"].isna().all()
    ends = ["low", "high"]
    pd.testing.assert_frame_equal(
        without.table.drop(columns=ends), with_ends.table.drop(columns=ends)
    )


def test_probabilities_have_no_interval(study):
    inputs = load_inputs(paths_of(study, "e3"), "e3")
    classes = {"name": "logistic", "train_mean": 0.5, "train_std": 0.5}
    models = [
        replace(model, fit=model.fit | {"target_transform": classes}) for model in inputs.models
    ]
    rows = build_rows(replace(inputs, models=models))
    assert rows.table["low"].isna().all()
    assert intervals_block(inputs, rows) is None


@pytest.mark.parametrize(
    "own", [{"name": "logistic"}, {"name": "the model's own", "classes": True}]
)
def test_models_of_classes_are_told_whoever_made_them(study, own):
    inputs = load_inputs(paths_of(study, "e3"), "e3")
    models = [replace(model, fit=model.fit | {"target_transform": own}) for model in inputs.models]
    assert is_classification(replace(inputs, models=models))
    assert not is_classification(replace(inputs, models=[*models, inputs.models[0]]))


def test_members_that_held_out_the_same_rows_are_scaled_by_their_disagreement(study):
    inputs = load_inputs(paths_of(study, "e3"), "e3")
    first = {model.fold: model.held_out for model in inputs.models if model.seed == 0}
    noise = np.random.default_rng(0)
    models = [
        replace(model, held_out=first[model.fold] + noise.normal(0, 0.02, len(first[model.fold])))
        for model in inputs.models
    ]
    rows = build_rows(replace(inputs, models=models))
    assert rows.intervals[0].kind == "disagreement"
    table = rows.fold(0)
    width = table["high"] - table["low"]
    floor = np.mean([m.fit["val_mae_at_best"] for m in models if m.fold == 0])
    ratio = width / np.hypot(table["std"], floor)
    np.testing.assert_allclose(ratio, ratio.iloc[0], rtol=1e-9)
