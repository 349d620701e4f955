import gzip
import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from small_study import BASELINE, TASK, build_house

TRAINED = ("model.safetensors", "history.csv")
LONGER = {**BASELINE, "epochs": 6, "batch_size": 1}


def same_bytes(first, second, names):
    return {name: (first / name).read_bytes() == (second / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def poisoned(study, tmp_path_factory):
    """The same study with other targets for the test rows of fold 0, run as far as its student."""
    house = build_house(tmp_path_factory.mktemp("poisoned") / "house")
    split = json.loads((study.results / f"splits/{TASK}/fold_0.json").read_text())
    path = house.root / "tiny.json.gz"
    table = json.loads(gzip.decompress(path.read_bytes()))
    at = table["columns"].index("e_form")
    for crystal, row in zip(table["index"], table["data"], strict=True):
        if crystal in split["test"]:
            row[at] = -10.0 * row[at] + 5.0
    path.write_bytes(gzip.compress(json.dumps(table).encode(), mtime=0))
    answers = f"results/tiny/predictions/{{}}/{TASK}/fold_0/seed_{{}}/test.parquet"
    done = house.snakemake(
        answers.format("student", 0),
        answers.format("baseline", 1),
        f"results/tiny/ensembles/e3/{TASK}/fold_0/test.parquet",
        f"results/tiny/data/{TASK}/card.json",
        "results/tiny/configs/e0.json",
    )
    assert done.returncode == 0, done.stderr
    return house


def test_poisoned_test_targets_change_no_model_and_no_prediction(study, poisoned):
    targets = f"data/{TASK}/targets.parquet"
    assert same_bytes(study.results, poisoned.results, [targets]) == {targets: False}
    names = [f"splits/{TASK}/fold_0.json"]
    for recipe, seed in (("baseline", 0), ("baseline", 1), ("student", 0)):
        where = f"{recipe}/{TASK}/fold_0/seed_{seed}"
        names += [f"models/{where}/{name}" for name in TRAINED]
        names += [f"predictions/{where}/{subset}.parquet" for subset in ("test", "train")]
    names += [f"ensembles/e3/{TASK}/fold_0/{subset}.parquet" for subset in ("test", "crossfit")]
    same = same_bytes(study.results, poisoned.results, names)
    assert [name for name, equal in same.items() if not equal] == []


def test_poisoned_test_targets_change_the_metrics(study, poisoned, tmp_path):
    """The record of fold 0 alone, from the programs' files with and without the poison."""
    maes = []
    for house in (study, poisoned):
        results, data = house.results, house.results / "data" / TASK
        config = json.loads((results / "configs/e0.json").read_text()) | {"folds": [0]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        model = results / f"models/baseline/{TASK}/fold_0/seed_0"
        answers = results / f"predictions/baseline/{TASK}/fold_0/seed_0"
        duplicates = study.results / "splits" / TASK / "duplicates.json"
        out = tmp_path / house.root.parent.name
        done = house.program(
            "write_experiment.py", "--experiment", "e0", "--config", tmp_path / "config.json",
            "--targets", data / "targets.parquet", "--card", data / "card.json",
            "--dataset-failures", data / "failures.csv",
            "--graph-failures", data / "graphs/failures.csv", "--duplicates", duplicates,
            "--splits", results / f"splits/{TASK}/fold_0.json", "--fits", model / "fit.json",
            "--histories", model / "history.csv", "--predictions", answers / "test.parquet",
            "--timings", answers / "test_timing.json", "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        maes.append(json.loads((out / "results.json").read_text())["metrics"]["folds"][0]["mae"])
    whole = json.loads((study.results / "e0/results.json").read_text())
    assert maes[0] == whole["metrics"]["folds"][0]["mae"]
    assert maes[1] > 2 * maes[0]


def test_two_runs_of_one_seed_give_the_same_bytes(study, tmp_path):
    """The workflow's run and the programs' own; another seed gives another model."""
    out = tmp_path / "again"
    done = study.program("train_model.py", *study.training(out))
    assert done.returncode == 0, done.stderr
    first = study.results / f"models/baseline/{TASK}/fold_0/seed_0"
    assert same_bytes(first, out, TRAINED) == dict.fromkeys(TRAINED, True)
    other = first.with_name("seed_1")
    assert same_bytes(first, other, TRAINED) == dict.fromkeys(TRAINED, False)
    done = study.program("predict.py", *study.prediction(out / "model.safetensors", out))
    assert done.returncode == 0, done.stderr
    answers = study.results / f"predictions/baseline/{TASK}/fold_0/seed_0"
    names = ("test.parquet", "train.parquet")
    assert same_bytes(answers, out, names) == dict.fromkeys(names, True)


def kill_in_third_epoch(house, arguments, out):
    """Start a training, kill -9 it after its second epoch is saved; return what it had said."""
    command = [sys.executable, "scripts/train_model.py", *map(str, arguments)]
    said = out.with_suffix(".log")
    with said.open("w") as log:
        process = subprocess.Popen(command, cwd=house.root, env=house.environment, stderr=log)
        try:
            state = out / ".resume" / "state.pt"
            while process.poll() is None and saved_epoch(state) < 2:
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert process.returncode == -signal.SIGKILL, said.read_text()
    return said.read_text()


def saved_epoch(path):
    if not path.exists():
        return 0
    return torch.load(path, weights_only=True)["state"]["progress"]["epoch"]


def test_a_killed_training_resumes_to_the_same_bytes(study, tmp_path):
    recipe = json.dumps(LONGER)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    done = study.program("train_model.py", *study.training(undisturbed, recipe=recipe))
    assert done.returncode == 0, done.stderr
    arguments = study.training(killed, recipe=recipe)
    said = kill_in_third_epoch(study, arguments, killed)
    assert "epoch 2  validation MAE" in said
    assert "epoch 3  validation MAE" not in said
    assert not (killed / "model.safetensors").exists()
    (killed / ".resume" / ".state.pt.x.part").write_bytes(b"half a state")
    done = study.program("train_model.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "resumed after epoch 2" in done.stderr
    assert "epoch 2  validation MAE" not in done.stderr
    assert same_bytes(undisturbed, killed, TRAINED) == dict.fromkeys(TRAINED, True)
    assert json.loads((killed / "fit.json").read_text())["resumed_from_epoch"] == 2
    assert sorted(path.name for path in killed.iterdir()) == [
        "fit.json",
        "history.csv",
        "model.safetensors",
    ]


def test_the_state_of_another_training_is_not_resumed(study, tmp_path):
    """Other work under the same path starts from the first epoch."""
    out = tmp_path / "model"
    kill_in_third_epoch(study, study.training(out, recipe=json.dumps(LONGER)), out)
    done = study.program("train_model.py", *study.training(out))
    assert done.returncode == 0, done.stderr
    assert "resumed" not in done.stderr
    first = study.results / f"models/baseline/{TASK}/fold_0/seed_0"
    assert same_bytes(first, out, TRAINED) == dict.fromkeys(TRAINED, True)
