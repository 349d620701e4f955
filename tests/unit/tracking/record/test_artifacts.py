"""What a run keeps of its files, and whether an edit of them is noticed."""

import hashlib
import zipfile
from importlib.metadata import version

import pandas as pd
import pytest

from foldwise.common.files import read_json, write_csv, write_json, write_text
from foldwise.tracking import commands
from foldwise.tracking.record import artifacts
from foldwise.tracking.record.artifacts import differing, keep, pack_detail
from foldwise.tracking.record.events import artifacts_of, read_events
from foldwise.tracking.record.registry import Registry
from tracking_files import finished_run, make_config


def train(registry, seed, loss):
    """What a training leaves in `models/`, where the next one writes again."""
    folder = registry.root / f"models/baseline/toy_gap/fold_0/seed_{seed}"
    write_csv(folder / "history.csv", pd.DataFrame({"epoch": [1, 2], "train_loss": [loss, 0.1]}))
    write_json(folder / "fit.json", {"seed": seed})
    write_text(folder / "model.safetensors", f"weights {seed}")


@pytest.fixture
def run(tmp_path):
    registry = Registry(tmp_path / "results")
    for seed in (0, 1):
        train(registry, seed, 0.5)
    entry = finished_run(registry, make_config())
    return registry, entry, registry.folder(entry["identity"])


def test_a_run_keeps_the_histories_of_its_own_fits(run):
    registry, entry, folder = run
    train(registry, 0, 9.9)  # the next run of the recipe
    assert pd.read_csv(folder / "attempt_1/history/fold_0_seed_0.csv")["train_loss"][0] == 0.5
    names = entry["artifact_paths"]
    assert "history/fold_0_seed_0.csv" in names
    assert "fits/fold_0_seed_0.json" in names
    assert names["models/fold_0_seed_0.safetensors"].startswith("models/baseline/")
    assert not any("seed_1" in name for name in names)  # of no model of this experiment


def test_every_artifact_has_its_size_and_its_checksum(run):
    registry, entry, folder = run
    for artifact in artifacts_of(folder, 1).values():
        path = artifacts.place_of(folder, artifact)
        content = path.read_bytes()
        assert artifact["bytes"] == len(content)
        assert artifact["sha256"] == hashlib.sha256(content).hexdigest()
    assert "all as recorded" in commands.show(registry.root, entry["identity"], "text")


def test_edits_and_losses_are_noticed(run):
    registry, entry, folder = run
    (folder / "attempt_1/results.json").write_text("{}")
    (folder / "attempt_1/fits/fold_0_seed_0.json").unlink()
    train(registry, 0, 0.5)
    (registry.root / "models/baseline/toy_gap/fold_0/seed_0/model.safetensors").write_text("other")
    assert dict(differing(folder, artifacts_of(folder, 1))) == {
        "results.json": "changed", "fits/fold_0_seed_0.json": "gone",
        "models/fold_0_seed_0.safetensors": "changed",
    }  # fmt: skip
    text = commands.show(registry.root, entry["identity"], "text")
    assert "3 no longer as recorded" in text
    assert "! changed: attempt_1/results.json" in text


def test_a_large_file_outlives_the_next_result(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "LARGE", 100)
    registry = Registry(tmp_path / "results")
    entry = finished_run(registry, make_config())
    folder = registry.folder(entry["identity"])
    kept = artifacts_of(folder, 1)["predictions.parquet"]
    before = (registry.root / "e0/predictions.parquet").read_bytes()
    (registry.root / "e0/other").write_bytes(b"another result" * 9)
    (registry.root / "e0/other").replace(registry.root / "e0/predictions.parquet")
    assert kept["stored"] == "copy"
    assert (folder / kept["path"]).read_bytes() == before

    def refused(*_):
        raise OSError

    monkeypatch.setattr(artifacts.os, "link", refused)
    noted = keep(folder, 2, {"predictions.parquet": registry.root / "e0/predictions.parquet"})
    assert noted["predictions.parquet"]["stored"] == "reference"


def test_the_detail_of_an_attempt_is_packed_and_stays(tmp_path):
    results, run = tmp_path / "results/e0", tmp_path / "results/runs/x"
    content = {"raw_outputs.parquet": b"1", "calls/a/prompt.txt": b"2", "diagnostics/f.csv": b"3"}
    for name, data in (content | {"figures/parity.png": b"4"}).items():
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_bytes(data)
    kept = keep(run, 1, pack_detail(results, run, 1))["detail.zip"]
    first = (run / kept["path"]).read_bytes()
    with zipfile.ZipFile(run / kept["path"]) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == content
    pack_detail(results, run, 1)
    assert (run / kept["path"]).read_bytes() == first
    assert pack_detail(tmp_path / "nothing", run, 1) == {}


def test_the_environment_names_every_installed_package(run):
    packages = read_events(run[2])[0]["environment"]["packages"]
    for name in ("torch", "scikit-learn", "snakemake", "filelock", "jinja2"):
        assert packages[name] == version(name)
    assert len(packages) > 100


def test_the_config_is_the_runs_own(run):
    assert read_json(run[2] / "config.json") == make_config()
