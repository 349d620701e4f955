"""Runs for MLflow's eyes: one way, off by default, idempotent, and never a reason to fail.

A run of the registry becomes one run of MLflow, found again by the tag `foldwise.identity`. What is
there is left alone; only the decision's tags follow the registry. The store is sqlite, and one
process at a time writes it: MLflow's own set-up of a fresh database fails when several begin it.
"""

from __future__ import annotations

import math
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from filelock import FileLock

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import flatten, read_json
from foldwise.tracking.questions.compare import snapshot
from foldwise.tracking.record.entries import Entry
from foldwise.tracking.record.registry import Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

IDENTITY_TAG = "foldwise.identity"
MAX_PARAM = 500
_STEPS = ("epoch", "step", "trial")
_TAGS = ("experiment", "git_commit", "git_branch", "dataset_sha256", "environment_hash", "host")


def export_safely(registry: Registry, store: Path) -> int:
    """`export_runs`, but a failure of MLflow is one line on stderr and no error."""
    try:
        return export_runs(registry, store)
    except FoldwiseError:
        raise
    except Exception as error:  # noqa: BLE001 - an exporter never fails a run
        print(f"warning: MLflow export stopped: {type(error).__name__}: {error}", file=sys.stderr)
        return 0


def export_runs(registry: Registry, store: Path) -> int:
    """Copy every complete run that MLflow does not have yet; refresh the decision of the others.

    Args:
        registry: The runs.
        store: Folder of `mlflow.db` and of the artifacts.

    Returns:
        How many runs were copied.

    Raises:
        FoldwiseError: MLflow is not installed.
    """
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise FoldwiseError(
            "MLflow is not installed", where="export-mlflow", hint="Use envs/mlflow.yaml."
        ) from error
    copied = 0
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock"):
        client = MlflowClient(tracking_uri=f"sqlite:///{(store / 'mlflow.db').resolve()}")
        for entry in registry.entries().values():
            if entry["status"] != "complete":
                continue
            experiment = _experiment(client, store, entry)
            known = client.search_runs(
                [experiment], f"tags.`{IDENTITY_TAG}` = '{_key(entry)}'", max_results=1
            )
            if known and known[0].info.status == "FINISHED":
                _tag_decision(client, known[0].info.run_id, entry)
                continue
            for half_done in known:
                client.delete_run(half_done.info.run_id)
            _copy(client, experiment, registry, entry)
            copied += 1
    return copied


def _key(entry: Entry) -> str:
    """Identity of what was measured: a second attempt of a run is another run for MLflow."""
    return f"{entry['identity']}.{entry['attempt']}"


def _experiment(client: MlflowClient, store: Path, entry: Entry) -> str:
    name = f"{entry['study'] or 'default'}/{entry['task']}"
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    artifacts = (store / "artifacts").resolve().as_uri()
    return str(client.create_experiment(name, artifact_location=artifacts))


def _copy(client: MlflowClient, experiment: str, registry: Registry, entry: Entry) -> None:
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - an optional package

    begun, ended = _milliseconds(entry["started"]), _milliseconds(entry["ended"])
    name = f"{entry['experiment']} {entry['identity']}"
    tags = {IDENTITY_TAG: _key(entry), "mlflow.note.content": entry["title"]}
    tags |= {f"foldwise.{key}": str(entry[key]) for key in _TAGS if entry[key] is not None}
    run = client.create_run(experiment, start_time=begun, run_name=name, tags=tags).info.run_id
    config = read_json(registry.folder(entry["identity"]) / "config.json")
    client.log_batch(
        run,
        metrics=[Metric(key, value, ended, 0) for key, value in entry["metrics"].items()],
        params=[Param(key, str(value)[:MAX_PARAM]) for key, value in flatten(config).items()],
        tags=[RunTag("foldwise.git_dirty", str(entry["git_dirty"]))],
    )
    folder = snapshot(registry, entry)
    history = [Metric(key, value, ended, step) for key, step, value in _history(folder)]
    for start in range(0, len(history), 1000):
        client.log_batch(run, metrics=history[start : start + 1000])
    if folder.is_dir():
        client.log_artifacts(run, str(folder))
    _tag_decision(client, run, entry)
    client.set_terminated(run, "FINISHED", end_time=ended)


def _history(attempt: Path) -> list[tuple[str, int, float]]:
    """Learning curves that an attempt kept of its own fits: metric, epoch or step, value."""
    found = []
    for path in sorted((attempt / "history").glob("*.csv")):
        prefix = path.stem.replace("_seed_", ".seed_")
        table = pd.read_csv(path)
        numbers = table.select_dtypes("number").columns
        at = next((name for name in _STEPS if name in numbers), None)
        if at is None:  # a model without epochs has no row
            continue
        for column in numbers.drop(at):
            found += [
                (f"{prefix}.{column}", int(step), float(value))
                for step, value in zip(table[at], table[column], strict=True)
                if math.isfinite(value)
            ]
    return found


def _tag_decision(client: MlflowClient, run: str, entry: Entry) -> None:
    decision = entry["decision"]
    client.set_tag(run, "decision", decision["verdict"] or "none")
    client.set_tag(run, "decision_reason", decision["reason"] or "")
    client.set_tag(run, "is_best", str(entry["is_best"]).lower())


def _milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)
