"""`kill -9` at random moments: a second call ends with the bytes of a run that nobody disturbed."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foldwise.tracking.record.registry import Registry
from joint_files import make_house
from paths import REPOSITORY

KILLS = 3
SMALL = ("--hidden", 32, "--layers", 1, "--heads", 2, "--vocabulary", 600, "--max-length", 96)


def start(arguments):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(arguments):
    """Run to the end; returns its seconds."""
    begun = time.monotonic()
    process = start(arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    return time.monotonic() - begun


def disturbed(arguments, seconds):
    """Kill the program three times, each after a random share of its usual time; let it end."""
    moments = []
    for _ in range(KILLS):
        process = start(arguments)
        moments.append(random.uniform(0.3, 0.95) * seconds)
        time.sleep(moments[-1])
        process.send_signal(signal.SIGKILL)
        process.communicate()
    print(f"killed after {', '.join(f'{one:.1f} s' for one in moments)} of {seconds:.1f} s")
    finish(arguments)


def content(folder, names):
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("law")
    finish(["scripts/prepare_mlm_texts.py", "--texts", "embedded", "--out", folder])
    texts = folder / "evaluation.jsonl"
    finish(["scripts/build_mlm_samples.py", "--texts", texts, "--out", folder / "samples.jsonl"])
    return folder


def masked_lm(corpus, root, out):
    texts = corpus / "training.jsonl"
    return ["scripts/train_mlm.py", "--texts", texts, *SMALL, "--steps", 120, "--save-every", 10,
            "--batch-size", 8, "--registry", root, "--output-dir", out]  # fmt: skip


def kinds(registry):
    entries = Registry(registry).entries().values()
    return [(one["status"], one["attempts"]) for one in entries]


@pytest.mark.proof  # buys: joint pretraining survives kills of the real program
def test_a_joint_pretraining(tmp_path):
    files, _ = make_house(tmp_path)
    recipe = {"model": "chgnet_lite", "init": "scratch", "batch_size": 4, "lr": 3e-3,
              "patience": 12, "pretrain": {"tasks": ["form", "gap"], "epochs": 12}}  # fmt: skip

    def program(out):
        places = {name: [place / name for place in files.values()]
                  for name in ("targets.parquet", "graphs", "split.json")}  # fmt: skip
        return ["scripts/jobs/pretrain_model.py", "--tasks", *files, "--targets",
                *places["targets.parquet"], "--graphs", *places["graphs"], "--splits",
                *places["split.json"], "--transforms", "element_reference", "standardize",
                "--groups", tmp_path / "groups.parquet", "--recipe", json.dumps(recipe), "--seed",
                0, "--holdout", 0, "--threads", 1, "--out", tmp_path / out]  # fmt: skip

    seconds = finish(program("whole"))
    disturbed(program("killed"), seconds)
    names = ("backbone.safetensors", "pretrain_rows.parquet", "pretrain_history.csv")
    assert content(tmp_path / "killed", names) == content(tmp_path / "whole", names)


@pytest.mark.proof  # buys: a masked-LM training survives kills, and the registry knows of them
def test_a_masked_lm_training(corpus, tmp_path):
    seconds = finish(masked_lm(corpus, tmp_path / "first", tmp_path / "whole"))
    disturbed(masked_lm(corpus, tmp_path / "second", tmp_path / "killed"), seconds)
    names = ("checkpoint-120/model.safetensors", "checkpoint-60/model.safetensors", "history.csv")
    assert content(tmp_path / "killed", names) == content(tmp_path / "whole", names)
    ((status, attempts),) = kinds(tmp_path / "second")
    assert status == "complete"
    assert 1 <= attempts <= KILLS + 1


@pytest.mark.proof  # buys: an evaluation survives kills, and repeats no batch that it has answered
def test_an_evaluation(corpus, tmp_path):
    finish(masked_lm(corpus, tmp_path / "training", tmp_path / "model"))
    checkpoint = tmp_path / "model" / "checkpoint-120"

    def program(name):
        return ["scripts/evaluate_checkpoint.py", "--checkpoint", checkpoint, "--samples",
                corpus / "samples.jsonl", "--token-budget", 96, "--bootstrap", 1000, "--cache-dir",
                tmp_path / name / "cache", "--registry", tmp_path / name / "results",
                "--output-dir", tmp_path / name / "out"]  # fmt: skip

    seconds = finish(program("whole"))
    disturbed(program("killed"), seconds)
    names = [str(path.relative_to(tmp_path / "whole/out"))
             for path in (tmp_path / "whole/out").rglob("*") if path.is_file()]  # fmt: skip
    parts = [content(tmp_path / name / "out", names) for name in ("whole", "killed")]
    there = [name for name in names if parts[0][name] != parts[1][name]]
    # They name the folder that the command was told to write to.
    assert {Path(name).name for name in there} <= {"README.txt", "results.json"}
    ((status, _),) = kinds(tmp_path / "killed" / "results")
    assert status == "complete"
