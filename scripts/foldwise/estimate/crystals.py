"""Before a long study of crystals: real steps, and from them its time, memory and disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, canonical_sha256, read_json, read_parquet
from foldwise.estimate.plan import PlannedJob, call_snakemake, dry_run
from foldwise.estimate.report import (
    HEADROOM,
    PER_JOB,
    Asked,
    Check,
    expected_time,
    place_checks,
    usual_seconds,
)
from foldwise.estimate.trial import JOINT, Trial, trial_recipe, try_pretraining, try_training
from foldwise.estimate.work import Workload, workload
from foldwise.graphs.store import GraphStore
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study
from foldwise.tracking.questions.stability import stability_of
from foldwise.tracking.record.code_state import code_state
from foldwise.tracking.record.environment import ask_driver
from foldwise.tracking.record.identity import config_hash

ENOUGH = 0.7
"""Share of its cores that a trial needs to stand for an idle machine."""


@dataclass(frozen=True)
class Flight:
    """What is about to be run.

    Attributes:
        study: The checked study.
        experiment: The experiment that is asked for.
        arguments: Options of Snakemake: cores, profile, config files.
        cores: Cores.
        gpus: Graphics cards; 0 on a machine without.
        trial_seconds: Longest time of one trial training.
    """

    study: Study
    experiment: str
    arguments: Sequence[str]
    cores: int
    gpus: int
    trial_seconds: float

    @property
    def target(self) -> str:
        """The file that is asked for."""
        return f"{self.study.root}/{self.experiment}/results.json"


def preflight(flight: Flight, max_hours: float, timed: dict[str, Trial]) -> list[Check]:
    """All checks; data and graphs are made first if they are not there.

    Args:
        flight: What is about to be run.
        max_hours: Longest accepted time.
        timed: Trials of this call's earlier experiments by what decides their cost; grows.

    Raises:
        FoldwiseError: The experiment is unknown, a trial fails, or the study would take longer than
            `max_hours`.
    """
    if flight.experiment not in flight.study.names:
        raise FoldwiseError(
            f"unknown experiment {flight.experiment!r}",
            where="--experiment",
            hint=f"Allowed: {', '.join(flight.study.names)}.",
        )
    jobs = dry_run([flight.target, *flight.arguments])
    checks = [_stability(flight), *place_checks(Path(flight.study.root))]
    trained = [job for job in jobs if job.rule == "train_model"]
    trials = _trials(flight, trained, timed) if trained else {}
    if trained:
        checks += [_rows(flight), _shapes(flight, trained)]
        checks += [_speed(trial) for trial in dict.fromkeys(trials.values())]
        checks.append(load_check(list(trials.values()), min(trained[0].threads, flight.cores)))
    joint = _joint_trials(flight, jobs, timed)
    files = _files(flight)
    paths = Path(files["graphs"]), Path(files["split"])
    work = workload(flight.study, *paths) if trained else None
    if work is not None:
        checks += _memory(flight, trained, trials, work)
    seconds = [_seconds(flight, job, joint if job.rule == JOINT else trials, work) for job in jobs]
    asked = Asked(
        target=flight.target,
        cores=flight.cores,
        gpus=flight.gpus,
        max_hours=max_hours,
    )
    return [*checks, expected_time(asked, jobs, seconds)]


def _stability(flight: Flight) -> Check:
    config = flight.study.resolved(flight.experiment)
    name = f"{flight.study.run or 'default'}/{flight.experiment}"
    text = stability_of(name, config_hash(config), code_state().git_commit)
    return Check("stability", " was stable on this hardware" in text, text)


def _files(flight: Flight) -> dict[str, str]:
    data = f"{flight.study.root}/data/{flight.study.task}"
    first = flight.study.folds[0]
    split = f"{flight.study.root}/splits/{flight.study.task}/fold_{first}.json"
    return {"targets": f"{data}/targets.parquet", "graphs": f"{data}/graphs", "split": split}


def _trials(
    flight: Flight, jobs: Sequence[PlannedJob], kinds: dict[str, Trial]
) -> dict[str, Trial]:
    """A trial for each kind of training among `jobs`, by recipe; those of `kinds` are not run."""
    files = _files(flight)
    if not all((REPOSITORY / path).exists() for path in files.values()):
        call_snakemake([*files.values(), *flight.arguments])
    trials: dict[str, Trial] = {}
    for recipe in dict.fromkeys(job.wildcards["recipe"] for job in jobs):
        options = flight.study.recipes[recipe].as_dict()
        same_cost = {key: value for key, value in trial_recipe(options).items() if key != "lr"}
        kind = canonical_sha256(same_cost)
        if kind not in kinds:
            threads = min(jobs[0].threads, flight.cores)
            kinds[kind] = try_training(
                options,
                files,
                transform=flight.study.datasets[flight.study.task]["transform"],
                threads=threads,
                copies=flight.gpus or max(1, flight.cores // threads),
                limit=flight.trial_seconds,
            )
        trials[recipe] = kinds[kind]
    return trials


def _rows(flight: Flight) -> Check:
    """No row is lost on the way, no target is missing, no formula is in fit and validation."""
    files = {key: REPOSITORY / path for key, path in _files(flight).items()}
    card = read_json(files["targets"].with_name("card.json"))
    targets = read_parquet(files["targets"], ("id", "formula", "target"))
    lost = len(pd.read_csv(files["graphs"] / "failures.csv"))
    graphs = len(GraphStore.open(files["graphs"]).ids)
    split = read_json(files["split"])
    formula = dict(zip(targets["id"], targets["formula"], strict=True))
    held = {formula[crystal] for crystal in split["validation"][0]}
    fitted = {formula[one] for part in split["validation"][1:] for one in part}
    ok = (
        card["n_source"] == card["n_accepted"] + card["n_failed"]
        and len(targets) == graphs + lost
        and bool(np.isfinite(targets["target"]).all())
        and not held & fitted
    )
    found = (
        f"{card['n_source']} in the source = {graphs} graphs + {card['n_failed'] + lost} failures; "
        f"{len(held & fitted)} formula(s) both fitted and validated"
    )
    return Check("rows", ok, found)


def _shapes(flight: Flight, jobs: Sequence[PlannedJob]) -> Check:
    store = GraphStore.open(REPOSITORY / _files(flight)["graphs"])
    recipe = flight.study.recipes[jobs[0].wildcards["recipe"]]
    assert isinstance(recipe, Recipe)  # training jobs are the network's alone
    size = recipe.batch_size
    sizes = np.diff(store.offsets, axis=0)
    mean, largest = sizes.mean(axis=0) * size, np.sort(sizes, axis=0)[-size:].sum(axis=0)
    names = ("atoms", "edges", "angles")
    parts = [
        f"{a:,.0f} {name} (at most {b:,})" for a, b, name in zip(mean, largest, names, strict=True)
    ]
    return Check("batch", bool((sizes[:, :2] > 0).all()), f"{size} crystals: {', '.join(parts)}")


def _speed(trial: Trial) -> Check:
    found = (
        f"{trial.seconds_per_step:.3f} s/step over {trial.steps} real steps, "
        f"{trial.seconds_per_epoch:.2f} s/epoch, {trial.overhead:.1f} s to start and end a job"
    )
    return Check("speed", trial.steps >= 2, found)


def load_check(trials: Sequence[Trial], threads: int) -> Check:
    """Whether other work slowed the trials down, which then make every job look longer."""
    shares = [trial.busy / threads for trial in trials if trial.device != "cuda"]
    if not shares:
        return Check("load", True, "on the GPU")
    found = f"the trials had {min(shares):.0%} of their cores"
    if min(shares) >= ENOUGH:
        return Check("load", True, found)
    return Check("load", False, f"{found}: other work runs; without it all is faster")


def _joint_trials(
    flight: Flight, jobs: Sequence[PlannedJob], timed: dict[str, Trial]
) -> dict[str, Trial]:
    """A trial of each joint pretraining, by recipe; those of `timed` are not run."""
    trials: dict[str, Trial] = {}
    for job in (job for job in jobs if job.rule == JOINT):
        recipe = job.wildcards["recipe"]
        kind = f"{JOINT} {recipe}"
        if kind not in timed:
            timed[kind] = try_pretraining(job, jobs, flight.arguments, flight.trial_seconds)
        trials[recipe] = timed[kind]
    return trials


def _memory(
    flight: Flight, jobs: Sequence[PlannedJob], trials: Mapping[str, Trial], work: Workload
) -> list[Check]:
    copies = flight.gpus or max(1, flight.cores // min(jobs[0].threads, flight.cores))
    needed = copies * max(
        trial.host_bytes + work.extra_bytes(recipe) for recipe, trial in trials.items()
    )
    free = psutil.virtual_memory().available
    found = f"{copies} training(s) at once take {needed / 1e9:.1f} of {free / 1e9:.1f} GB free"
    checks = [Check("memory", needed < HEADROOM * free, found)]
    device = max((trial.device_bytes or 0 for trial in trials.values()), default=0)
    total = _device_bytes() if device else None
    if total:
        found = f"{device / 1e9:.1f} of {total / 1e9:.1f} GB"
        checks.append(Check("GPU memory", device < HEADROOM * total, found))
    return checks


def _seconds(
    flight: Flight, job: PlannedJob, trials: Mapping[str, Trial], work: Workload | None
) -> float:
    """Expected seconds of a job: by the trial, by its rule's earlier jobs, or by experience."""
    trial = trials.get(job.wildcards.get("recipe", ""))
    epochs = 1.0 if job.rule == JOINT else work.epochs(job) if work is not None else None
    if trial is not None and epochs is not None:
        return trial.overhead + epochs * trial.seconds_per_epoch + PER_JOB
    return usual_seconds(Path(flight.study.root), job)


def longest_hours(config: Mapping[str, Any]) -> float:
    """Longest accepted time of a study in hours, from the config's `preflight.max_hours`."""
    return float((config.get("preflight") or {}).get("max_hours", 24))


def _device_bytes() -> int | None:
    """Bytes of the first graphics card, if its driver tells."""
    mebibytes = ask_driver("memory.total")
    return int(mebibytes) * 1024**2 if mebibytes else None
