"""Spoilt inputs: each ends with one line that names the file and what to do."""

import json

import pandas as pd
import pytest

from experiment_files import make_study
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json, write_parquet
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def change_json(path, **changes):
    write_json(path, {**read_json(path), **changes})


def drop_key(path, key):
    write_json(path, {name: value for name, value in read_json(path).items() if name != key})


def change_table(path, change):
    write_parquet(path, change(pd.read_parquet(path)))


def spoil_text(path):
    path.write_text(path.read_text()[:-20])


FOLD_1 = ("baseline", 1, 0)
SPOILT = {
    "missing fit": (lambda s: (s.model(*FOLD_1) / "fit.json").unlink(), "fit.json: the file does"),
    "truncated fit": (lambda s: spoil_text(s.model(*FOLD_1) / "fit.json"), "not valid JSON"),
    "fit without key": (
        lambda s: drop_key(s.model(*FOLD_1) / "fit.json", "num_params"),
        "key 'num_params' is missing",
    ),
    "fit of another task": (
        lambda s: change_json(s.model(*FOLD_1) / "fit.json", task="other"),
        "task is 'other', the config asks for 'demo_e_form'",
    ),
    "fit of another recipe": (
        lambda s: change_json(s.model(*FOLD_1) / "fit.json", recipe="student"),
        "recipe is 'student'",
    ),
    "two fits of one fold": (
        lambda s: change_json(s.model(*FOLD_1) / "fit.json", fold=2),
        "test rows of fold 2 and misses",
    ),
    "fit of an unknown fold": (
        lambda s: change_json(s.model(*FOLD_1) / "fit.json", fold=9),
        "fold 9 has no split file",
    ),
    "other seed": (
        lambda s: change_json(s.model(*FOLD_1) / "fit.json", seed=4),
        "--fits: the files hold (fold, seed)",
    ),
    "NaN prediction": (
        lambda s: change_table(
            s.model(*FOLD_1) / "test.parquet",
            lambda t: t.assign(prediction=t["prediction"].where(t.index != t.index[2])),
        ),
        "test.parquet: 1 value(s) of 'prediction' are not finite, the first for id",
    ),
    "prediction twice": (
        lambda s: change_table(
            s.model(*FOLD_1) / "test.parquet", lambda t: pd.concat([t, t.iloc[:1]])
        ),
        "stands there twice",
    ),
    "lost prediction": (
        lambda s: change_table(s.model(*FOLD_1) / "test.parquet", lambda t: t.iloc[1:]),
        "the file has 11 of 12 test rows of fold 1 and misses 'demo-0001'",
    ),
    "wrong column": (
        lambda s: change_table(
            s.model(*FOLD_1) / "test.parquet", lambda t: t.rename(columns={"prediction": "y"})
        ),
        "column 'prediction' is missing",
    ),
    "truncated predictions": (
        lambda s: (s.model(*FOLD_1) / "test.parquet").write_bytes(b"PAR1"),
        "truncated or not a Parquet",
    ),
    "empty history": (
        lambda s: (s.model(*FOLD_1) / "history.csv").write_text(""),
        "history.csv: no valid CSV",
    ),
    "history without column": (
        lambda s: (s.model(*FOLD_1) / "history.csv").write_text("epoch,loss\n1,2\n"),
        "column 'train_mae' is missing",
    ),
    "timing is a list": (
        lambda s: write_json(s.model(*FOLD_1) / "test_timing.json", [1]),
        "JSON object",
    ),
    "NaN target": (
        lambda s: change_table(
            s.root / "targets.parquet",
            lambda t: t.assign(target=t["target"].where(t["id"] != "demo-0003")),
        ),
        "'target' are not finite, the first for id 'demo-0003'",
    ),
    "split of another task": (
        lambda s: change_json(s.root / "fold_2.json", task="other"),
        "it splits task 'other'",
    ),
    "empty fold": (lambda s: change_json(s.root / "fold_2.json", test=[]), "no test rows"),
    "unknown row in a split": (
        lambda s: change_json(s.root / "fold_2.json", test=["nobody"]),
        "id 'nobody' is not in the dataset",
    ),
    "row in train and test": (
        lambda s: change_json(s.root / "fold_2.json", test=["demo-0001"]),
        "is in train and in test",
    ),
    "fold missing in the config": (
        lambda s: change_json(s.root / "e0.json", folds=[0, 1, 2, 3]),
        "--splits: the files hold folds [0, 1, 2, 3, 4], the config asks for [0, 1, 2, 3]",
    ),
    "config of another experiment": (
        lambda s: change_json(s.root / "e0.json", experiment="e9"),
        "it describes 'e9', not 'e0'",
    ),
    "config without purpose": (lambda s: drop_key(s.root / "e0.json", "purpose"), "'purpose'"),
    "report without worst_n": (
        lambda s: change_json(s.root / "e0.json", report={}),
        "key 'report.worst_n' is missing",
    ),
    "card without unit": (lambda s: drop_key(s.root / "card.json", "unit"), "key 'unit'"),
    "failures without reason": (
        lambda s: (s.root / "failures.csv").write_text("id,stage\nx,dataset\n"),
        "column 'reason' is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILT)
def test_spoilt_inputs(study, kind):
    spoil, message = SPOILT[kind]
    spoil(study)
    with pytest.raises(FoldwiseError) as error:
        load_inputs(study.paths("e0"), "e0")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_lists_of_unequal_length(study):
    paths = study.paths("e0")
    short = type(paths)(**{**vars(paths), "timings": paths.timings[1:]})
    with pytest.raises(FoldwiseError, match="the lists hold 5, 5, 5, 4 files"):
        load_inputs(short, "e0")


def test_predictions_in_another_order_than_the_fits(study):
    paths = study.paths("e0")
    turned = type(paths)(**{**vars(paths), "predictions": paths.predictions[::-1]})
    with pytest.raises(FoldwiseError, match="give all lists in one order"):
        load_inputs(turned, "e0")


def test_ensembles_of_some_folds(study):
    paths = study.paths("e3")
    short = type(paths)(**{**vars(paths), "ensembles": paths.ensembles[1:], "compare": ()})
    with pytest.raises(FoldwiseError, match="4 files for 5 folds"):
        load_inputs(short, "e3")


def test_comparison_with_another_experiment(study):
    with pytest.raises(FoldwiseError, match=r"e0/results.json: the file does not exist"):
        load_inputs(study.paths("e3"), "e3")
    write_experiment(load_inputs(study.paths("e0"), "e0"), study.out("e0"))
    record_path = study.out("e0") / "results.json"
    record = json.loads(record_path.read_text())
    write_json(record_path, {**record, "task": "other"})
    with pytest.raises(FoldwiseError, match="its task is 'other'"):
        load_inputs(study.paths("e3"), "e3")
    write_json(record_path, {**record, "schema_version": 0})
    with pytest.raises(FoldwiseError, match="does not follow the schema"):
        load_inputs(study.paths("e3"), "e3")
    old = record | {"schema_version": 1, "run_id": record["config_id"]}
    old["metrics"] = record["metrics"] | {"pooled": record["metrics"]["pooled"] | {"resamples": 9}}
    write_json(record_path, {key: value for key, value in old.items() if key != "config_id"})
    (parent,) = load_inputs(study.paths("e3"), "e3").parents
    assert parent.record == record
    write_json(record_path, record)
    change_table(study.root / "targets.parquet", lambda t: t.assign(target=t["target"] + 1.0))
    with pytest.raises(FoldwiseError, match=r"59 target\(s\) differ from the dataset's"):
        load_inputs(study.paths("e3"), "e3")
