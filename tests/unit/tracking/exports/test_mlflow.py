"""MLflow's client and its server's REST API are the oracles; both are optional packages."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest

from foldwise.common.files import write_csv
from foldwise.tracking import commands
from foldwise.tracking.exports.mlflow import _history, export_runs, export_safely
from foldwise.tracking.record.registry import Registry
from tracking_files import finished_run, make_config

mlflow = pytest.importorskip("mlflow", reason="MLflow is optional: install envs/mlflow.yaml")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("mlflow") / "results")
    values = {"train_loss": [0.3, 0.2, 0.1], "val_mae": [0.5, 0.3, 0.2], "val_rmse": 0.4}
    history = pd.DataFrame({"epoch": [1, 2, 3], "lr": 0.001, "train_mae": 0.1, **values})
    folder = registry.root / "models/baseline/toy_gap/fold_0/seed_0"
    write_csv(folder / "history.csv", history)
    for number, mae in enumerate((0.07, 0.03)):
        finished_run(registry, make_config(f"e{number}"), mae)
    # The next run of the recipe replaces the model's own history; the run keeps that of its fit.
    write_csv(folder / "history.csv", history.assign(val_mae=9.9))
    store = registry.root / "mlflow"
    assert export_runs(registry, store) == 2
    return registry, store


def client(store):
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")


def runs_of(store):
    reader = client(store)
    experiment = reader.get_experiment_by_name("default/toy_gap")
    return {run.data.tags["foldwise.experiment"]: run
            for run in reader.search_runs([experiment.experiment_id])}  # fmt: skip


def test_the_client_reads_params_metrics_history_and_artifacts(exported):
    registry, store = exported
    run = runs_of(store)["e1"]
    entry = next(one for one in registry.entries().values() if one["experiment"] == "e1")
    assert run.data.params["recipe.lr"] == "0.001"
    assert run.data.metrics["mae_mean"] == entry["metrics"]["mae_mean"]
    assert run.data.tags["decision"] == "keep"
    assert run.data.tags["is_best"] == "true"
    assert run.info.status == "FINISHED"
    steps = client(store).get_metric_history(run.info.run_id, "fold_0.seed_0.val_mae")
    assert [(one.step, one.value) for one in steps] == [(1, 0.5), (2, 0.3), (3, 0.2)]
    files = {file.path for file in client(store).list_artifacts(run.info.run_id)}
    assert {"results.json", "config.json", "predictions.parquet"} <= files


def test_a_second_export_copies_nothing_but_the_new_decision(exported):
    registry, store = exported
    before = {name: run.info.run_id for name, run in runs_of(store).items()}
    commands.decide(registry.root, "e1", "discard", "its split leaked")
    assert export_runs(registry, store) == 0
    after = runs_of(store)
    assert {name: run.info.run_id for name, run in after.items()} == before
    assert after["e1"].data.tags["decision"] == "discard"
    assert after["e0"].data.tags["is_best"] == "true"


@pytest.mark.slow  # buys: a real MLflow server reads what was exported
def test_the_server_tells_the_same(exported):
    pytest.importorskip("flask", reason="MLflow's server needs flask: install envs/mlflow.yaml")
    _, store = exported
    run = runs_of(store)["e0"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "mlflow.server:app", "run", "--port", str(port)],
        env={**os.environ, "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{store / 'mlflow.db'}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={run.info.run_id}"
    try:
        answer = None
        for _ in range(200):
            try:
                answer = json.load(urllib.request.urlopen(url, timeout=5))
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, server.stdout.read().decode()
                time.sleep(0.2)
    finally:
        server.terminate()
        server.wait()
    metrics = {one["key"]: one["value"] for one in answer["run"]["data"]["metrics"]}
    assert metrics["mae_mean"] == run.data.metrics["mae_mean"]


def test_a_failing_store_is_a_warning_and_no_error(exported, tmp_path, capsys):
    registry, _ = exported
    (tmp_path / "mlflow.db").write_text("this is no database")
    assert export_safely(registry, tmp_path) == 0
    assert capsys.readouterr().err.startswith("warning: MLflow export stopped: ")


def test_a_model_that_was_only_asked_has_no_curve(tmp_path):
    folder = tmp_path / "history"
    folder.mkdir()
    (folder / "asked.csv").write_text("epoch,train_mae,val_mae\n")
    (folder / "fold_0_seed_1.csv").write_text("epoch,val_mae\n1,0.5\n2,\n")
    assert _history(tmp_path) == [("fold_0.seed_1.val_mae", 1, 0.5)]
