"""Prepare, start, complete, fail: what the rules tell the registry about a run."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.tracking.record.artifacts import keep, pack_detail
from foldwise.tracking.record.code_state import CodeState, code_state
from foldwise.tracking.record.decision import rule_decision
from foldwise.tracking.record.entries import RANKED_BY, Entries, Entry
from foldwise.tracking.record.environment import environment, environment_hash
from foldwise.tracking.record.identity import config_hash, run_identity
from foldwise.tracking.record.leaderboard import COLUMNS_OF_RUNS
from foldwise.tracking.record.registry import Change, Registry

SNAPSHOT = (
    "results.json", "config.json", "README.txt", "metrics.json", "predictions.parquet",
    "groups/_index.csv", "diagnostics/review.json",
)  # fmt: skip
_COMPUTE = ("wall_time_sec", "sec_per_epoch", "num_params", "peak_memory_bytes")
_INFERENCE = ("passes_per_prediction", "structures_per_s")


@dataclass(frozen=True)
class Prepared:
    """What the registry knows of a run before it starts.

    Attributes:
        identity: Name of the run.
        status: `new`, or the status of the run's last attempt.
        message: One line for the user.
    """

    identity: str
    status: str
    message: str


def prepare(entries: Entries, config: Mapping[str, Any], code: CodeState) -> Prepared:
    """The identity of a run, and whether the same config with the same commit has run before."""
    identity = run_identity(config, code.git_commit, code.dirty_hash)
    entry = entries.get(identity)
    name = config["experiment"]
    if entry is None:
        return Prepared(identity, "new", f"run {identity} ({name})")
    status = str(entry["status"])
    if status == "complete":
        message = (
            f"run {identity} ({name}) is complete since {entry['ended']}: skipped, see {name}/"
        )
    elif entry["failure"]:
        reason = entry["failure"]["reason"]
        message = (
            f"run {identity} ({name}) {status} before: {reason}; attempt {entry['attempts'] + 1}"
        )
    else:
        message = f"run {identity} ({name}) is recorded as {status}"
    return Prepared(identity, status, message)


def start(
    change: Change,
    folder: Path,
    config: Mapping[str, Any],
    *,
    code: CodeState,
    study: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Entry:
    """Record that an attempt begins, and freeze its config in `folder`.

    Args:
        change: The registry's turn.
        folder: The run's folder; its name is the identity.
        config: The resolved config of the experiment.
        code: State of the working tree.
        study: The study's whole config, for `scripts/runs.py export`.
        command: The command line that began it.
    """
    facts = environment()
    write_json(folder / "config.json", config)
    if study is not None:
        write_json(folder / "study.json", study)
    payload = {
        "experiment": config["experiment"],
        "title": config["title"],
        "study": config.get("run") or "",
        "task": config["task"],
        "recipe": config.get("recipe_name"),
        "seeds": config.get("seeds"),
        "config_hash": config_hash(config),
        **code.as_dict(),
        "environment": facts,
        "environment_hash": environment_hash(facts),
        "host": socket.gethostname(),
        "command": command,
    }
    return change.append(folder.name, "start", payload)


def complete_experiment(folder: str | Path) -> Entry | None:
    """Record that an experiment's folder is written; called by the program that wrote it.

    The run is the one that was started with the folder's config; a folder made without Snakemake
    begins and ends its run here. Without a `runs` folder beside it nothing is tracked.

    Args:
        folder: `results/{experiment}`.
    """
    place = Path(folder)
    registry = Registry(place.parent)
    if not registry.runs.is_dir():
        return None
    config = read_json(place / "config.json")
    with registry.change() as change:
        running = [
            entry["identity"]
            for entry in change.entries.values()
            if entry["status"] == "running" and entry["config_hash"] == config_hash(config)
        ]
        if running:
            return complete(change, registry.folder(running[-1]), place)
        code = code_state()
        run = registry.folder(run_identity(config, code.git_commit, code.dirty_hash))
        start(change, run, config, code=code)
        return complete(change, run, place)


def complete(change: Change, run: Path, results: Path) -> Entry:
    """Record the results of a started run, keep a copy of them, and let the rule decide.

    Args:
        change: The registry's turn.
        run: The run's folder.
        results: The finished experiment folder.
    """
    record = read_json(results / "results.json")
    attempt = change.entries[run.name]["attempts"]
    fits, models = _files_of_fits(run.parents[1], read_json(results / "config.json"))
    payload = {
        "results_id": record["config_id"],
        "unit": record["unit"],
        "test_presumably_seen": record["leakage"]["test_structures_presumably_seen"],
        "dataset_sha256": record["provenance"]["dataset_sha256"],
        "results": results.name,
        "metrics": run_metrics(record),
        "ranked_by": RANKED_BY,
        "direction": "min",
        "artifacts": {
            **keep(run, attempt, {name: results / name for name in SNAPSHOT} | fits),
            **keep(run, attempt, pack_detail(results, run, attempt)),
            **keep(run, attempt, models, copy=False),
        },
    }
    change.append(run.name, "complete", payload)
    return change.append(run.name, "decide", rule_decision(record))


def _files_of_fits(
    root: Path, config: Mapping[str, Any]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Metric histories and records of a run's own fits, and their models, by name.

    They lie in `models/`, where the next run of the recipe replaces them.
    """
    seeds = {seed for group in config.get("replicates") or [config.get("seeds") or []]
             for seed in group}  # fmt: skip
    kept: dict[str, Path] = {}
    models: dict[str, Path] = {}
    folder = root / "models" / str(config.get("recipe_name")) / str(config["task"])
    for path in sorted(folder.glob("fold_*/seed_*")):
        fold, seed = path.parts[-2:]
        if int(seed.removeprefix("seed_")) not in seeds:
            continue
        kept |= {
            f"history/{fold}_{seed}.csv": path / "history.csv",
            f"history/pretraining_{fold}_{seed}.csv": path / "pretrain_history.csv",
            f"fits/{fold}_{seed}.json": path / "fit.json",
        }
        models[f"models/{fold}_{seed}.safetensors"] = path / "model.safetensors"
    return kept, models


def run_metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a `results.json` that runs are ranked and compared by; without absent ones."""
    pooled = record["metrics"]["pooled"]
    compute = record["compute"]
    numbers = {
        **record["metrics"]["aggregate"],
        "mae_all_rows": pooled["mae"],
        "mae_low": pooled["interval"][0],
        "mae_high": pooled["interval"][1],
        **{key: compute.get(key) for key in _COMPUTE},
        **{key: (compute.get("inference") or {}).get(key) for key in _INFERENCE},
    }
    return {
        key: value for key, value in numbers.items() if value is not None and math.isfinite(value)
    }


def fail(change: Change, identity: str, failure: Mapping[str, Any]) -> Entry:
    """Record that a run failed, and of what (see `foldwise.tracking.calls.reasons`)."""
    return change.append(identity, "fail", {"failure": dict(failure)})


def stop(change: Change, identity: str, failure: Mapping[str, Any]) -> Entry:
    """Record that a run was not finished without a fault of its own."""
    return change.append(identity, "stop", {"failure": dict(failure)})


def decide(registry: Registry, identity: str, verdict: str, reason: str) -> Entry:
    """Record a person's decision.

    Raises:
        FoldwiseError: The run is unknown.
    """
    with registry.change() as change:
        check_known(change, identity)
        payload = {"verdict": verdict, "reason": reason, "by": "person"}
        return change.append(identity, "decide", payload)


def add_metric(registry: Registry, identity: str, name: str, value: float) -> Entry:
    """Add a metric to a complete run; one that is there is never changed.

    Raises:
        FoldwiseError: The run is unknown or not complete, or has the metric.
    """
    with registry.change() as change:
        check_known(change, identity)
        entry = change.entries[identity]
        problem = None
        if not math.isfinite(value):
            raise FoldwiseError(
                f"{value} is not a finite number", where=f"metric {name!r}", hint="Give a number."
            )
        if entry["status"] != "complete":
            problem = f"the run is {entry['status']}, not complete"
        elif name in entry or name in COLUMNS_OF_RUNS:
            problem = f"{name!r} is a column of every run"
        elif name in entry["metrics"]:
            problem = f"metric {name!r} is recorded as {entry['metrics'][name]}"
        if problem:
            raise FoldwiseError(
                problem, where=identity, hint="Records are immutable; choose another name."
            )
        return change.append(identity, "metric", {"name": name, "value": value})


def check_known(change: Change, identity: str) -> None:
    """Stop with a `FoldwiseError` at a run that the registry does not have."""
    if identity not in change.entries:
        raise FoldwiseError(
            "no such run", where=identity, hint="List them: python scripts/runs.py list"
        )
