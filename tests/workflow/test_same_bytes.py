import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch

from foldwise.crystals.files import read_structures, write_structures
from small_study import BASELINE, TASK

TRAINED = ("model.safetensors", "history.csv")
LONGER = {**BASELINE, "epochs": 6, "batch_size": 1}


def same_bytes(first, second, names):
    return {name: (first / name).read_bytes() == (second / name).read_bytes() for name in names}


def test_two_runs_of_one_seed_give_the_same_bytes(study, tmp_path):
    """The workflow's run and the programs' own; another seed gives another model."""
    out = tmp_path / "again"
    done = study.program("jobs/train_model.py", *study.training(out))
    assert done.returncode == 0, done.stderr
    first = study.results / f"models/baseline/{TASK}/fold_0/seed_0"
    assert same_bytes(first, out, TRAINED) == dict.fromkeys(TRAINED, True)
    other = first.with_name("seed_1")
    assert same_bytes(first, other, TRAINED) == dict.fromkeys(TRAINED, False)
    done = study.program("jobs/predict.py", *study.prediction(out / "model.safetensors", out))
    assert done.returncode == 0, done.stderr
    answers = study.results / f"predictions/baseline/{TASK}/fold_0/seed_0"
    names = ("test.parquet", "train.parquet")
    assert same_bytes(answers, out, names) == dict.fromkeys(names, True)


@pytest.mark.parametrize("threads", [2, 4])
def test_any_number_of_threads_gives_the_same_bytes(study, tmp_path, threads):
    """A whole training and its predictions, against the workflow's with one thread."""
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))

    def program(name, arguments):
        command = [sys.executable, f"scripts/{name}", *map(str, arguments), "--threads", threads]
        environment = {**study.environment, **variables}
        done = subprocess.run(
            [str(part) for part in command],
            cwd=study.root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    program("jobs/train_model.py", study.training(tmp_path))
    program("jobs/predict.py", study.prediction(tmp_path / "model.safetensors", tmp_path))
    where = f"baseline/{TASK}/fold_0/seed_0"
    for folder, names in (("models", TRAINED), ("predictions", ("test.parquet", "train.parquet"))):
        same = same_bytes(study.results / folder / where, tmp_path, names)
        assert same == dict.fromkeys(names, True)
    assert json.loads((tmp_path / "fit.json").read_text())["threads"] == threads


def kill_in_third_epoch(house, arguments, out):
    """Start a training, kill -9 it after its second epoch is saved; return what it had said."""
    command = [sys.executable, "scripts/jobs/train_model.py", *map(str, arguments)]
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


def let_an_hour_pass(path):
    """As if the killed process had taken an hour, half of it computing."""
    saved = torch.load(path, weights_only=True)
    assert saved["state"]["clock"]["cpu"] > 0
    assert 0 < saved["state"]["clock"]["wall"] < 600
    saved["state"]["clock"] = {"wall": 3600.0, "cpu": 1800.0}
    torch.save(saved, path)


def test_a_killed_training_resumes_to_the_same_bytes(study, tmp_path):
    recipe = json.dumps(LONGER)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    done = study.program("jobs/train_model.py", *study.training(undisturbed, recipe=recipe))
    assert done.returncode == 0, done.stderr
    arguments = study.training(killed, recipe=recipe)
    said = kill_in_third_epoch(study, arguments, killed)
    assert "epoch 2  validation MAE" in said
    assert "epoch 3  validation MAE" not in said
    assert not (killed / "model.safetensors").exists()
    (killed / ".resume" / ".state.pt.x.part").write_bytes(b"half a state")
    let_an_hour_pass(killed / ".resume" / "state.pt")
    done = study.program("jobs/train_model.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "resumed after epoch 2" in done.stderr
    assert "epoch 2  validation MAE" not in done.stderr
    assert same_bytes(undisturbed, killed, TRAINED) == dict.fromkeys(TRAINED, True)
    fit = json.loads((killed / "fit.json").read_text())
    assert fit["resumed_from_epoch"] == 2
    assert 3600 < fit["wall_time_sec"] < 7200
    assert 1800 < fit["cpu_time_sec"] < 3600
    assert sorted(path.name for path in killed.iterdir()) == [
        "fit.json",
        "history.csv",
        "model.safetensors",
    ]


def test_the_state_of_another_training_is_not_resumed(study, tmp_path):
    """Other work under the same path starts from the first epoch."""
    out = tmp_path / "model"
    kill_in_third_epoch(study, study.training(out, recipe=json.dumps(LONGER)), out)
    done = study.program("jobs/train_model.py", *study.training(out))
    assert done.returncode == 0, done.stderr
    assert "resumed" not in done.stderr
    first = study.results / f"models/baseline/{TASK}/fold_0/seed_0"
    assert same_bytes(first, out, TRAINED) == dict.fromkeys(TRAINED, True)


def corrected(house, graphs, structures, scale):
    """A store of the same crystals, the first one with its cell scaled."""
    ids, crystals = read_structures(structures)
    lattice = crystals[0].lattice * scale
    crystals[0] = replace(crystals[0], lattice=lattice)
    changed = graphs.with_suffix(".npz")
    write_structures(changed, ids, crystals)
    done = house.program("jobs/build_graphs.py", "--structures", changed, "--out", graphs)
    assert done.returncode == 0, done.stderr
    return graphs


@pytest.mark.parametrize("corrected_part", [None, "graphs", "copies"])
def test_a_corrected_cell_starts_the_training_again(student, study, tmp_path, corrected_part):
    """Same ids, same counts, another lattice: of a crystal, or of a copy."""
    options, killed, structures = student
    shutil.copytree(killed, tmp_path / "model")
    for part in ("graphs", "copies"):
        scale = 1.001 if part == corrected_part else 1.0
        store = corrected(study, tmp_path / part, structures[part], scale)
        before = json.loads((options[part] / "meta.json").read_text())
        after = json.loads((store / "meta.json").read_text())
        assert after["ids"] == before["ids"]
        assert (after == before) == (part != corrected_part)
        options = {**options, part: store}
    done = study.program("jobs/train_model.py", *study.training(tmp_path / "model", **options))
    assert done.returncode == 0, done.stderr
    assert ("resumed after epoch" in done.stderr) == (corrected_part is None)


@pytest.fixture(scope="module")
def student(study, tmp_path_factory):
    """A killed training with soft targets of copies: its options, its state, its structures."""
    folder = tmp_path_factory.mktemp("student")
    data, split = study.results / "data" / TASK, study.results / f"splits/{TASK}/fold_0.json"
    copies = folder / "structures.npz"
    done = study.program(
        "jobs/perturb_structures.py", "--structures", data / "structures.npz", "--split", split,
        "--copies", 1, "--displacement", 0.03, "--strain", 0.01, "--out", copies,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ids, _ = read_structures(copies)
    soft = pd.DataFrame({"id": ids, "mean": -1.0, "std": 0.1, "n": 2})
    soft.to_parquet(folder / "soft.parquet", index=False)
    teacher = {"ensemble": "e3", "targets": "augmented"}
    options = {
        "recipe": json.dumps({**LONGER, "teacher": teacher}),
        "soft-targets": folder / "soft.parquet",
        "graphs": data / "graphs",
        "copies": corrected(study, folder / "graphs", copies, 1.0),
    }
    kill_in_third_epoch(study, study.training(folder / "model", **options), folder / "model")
    structures = {"graphs": data / "structures.npz", "copies": copies}
    return options, folder / "model", structures
