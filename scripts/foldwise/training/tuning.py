"""Search for a recipe on the hold-out of a fold with Optuna: pruned, resumable, in a budget.

Every trial is a training of one length, a share of the whole one that lets about `TRIALS` of them
into the budget; the first is the recipe as it is written, and is always finished. Trials are judged
by the error on the hold-out, so that no test row has a part in the choice.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.trial import TrialState

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256, read_json
from foldwise.graphs.store import store_sha256
from foldwise.network.acceleration import accelerate
from foldwise.network.engine import set_up_engine
from foldwise.study.recipe import Recipe
from foldwise.training.files import SeedJob, TrainingFiles
from foldwise.training.fit import fit
from foldwise.training.job import OpenFold, TrainingJob, open_fold, prepare
from foldwise.training.trainer import Trainer, steps_per_epoch

TRIALS = 12
"""Whole trials that a budget is cut into; pruning makes room for more."""
MIN_EPOCHS = 3
TIMED_STEPS = 8
LR = (1e-4, 1e-2)
WARMUP = (0.02, 0.3)
_SPENT, _STEPS = "seconds", "steps"
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Tuning:
    """What is searched, and where it is kept.

    Attributes:
        files: Targets, graphs and the split of the fold.
        job: The recipe as it is written, without a teacher, and how it is trained.
        seed: Seed of every training, and of the search.
        holdout: Judges.
        budget: Seconds of training, of all calls together.
        out: Folder of the search.
    """

    files: TrainingFiles
    job: TrainingJob
    seed: int
    holdout: int
    budget: float
    out: Path


def search(tuning: Tuning) -> dict[str, Any]:
    """Search until the budget is used up; a second call goes on where one stopped.

    Returns:
        The choice, as `{recipe}.json` of the folder holds it.

    Raises:
        FoldwiseError: An input is missing or broken, or the recipe has a teacher or begins with a
            joint pretraining.
    """
    job = tuning.job
    if job.recipe.pretrain is not None or job.recipe.teacher is not None:
        raise FoldwiseError(
            "a search trains on labels alone",
            where=f"recipes.{job.recipe_name}",
            hint="Name the recipe that it extends, without teacher and pretrain.",
        )
    device = set_up_engine(job.machine)
    fold = open_fold(tuning.files, job.recipe, device)
    tuning.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # an error is one line of ours
    study = optuna.create_study(
        storage=f"sqlite:///{tuning.out / 'study.db'}",
        study_name=_study_name(tuning, fold),
        direction="minimize",
        load_if_exists=True,
        # A scratch training starts behind and may end in front: nothing is judged before a third.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    if _STEPS not in study.user_attrs:
        study.set_user_attr(_STEPS, trial_steps(tuning, fold, device))
        study.enqueue_trial(_written(job.recipe))
    for trial in study.get_trials(states=[TrialState.RUNNING]):  # a kill has ended it
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    runner = _Runner(tuning, fold, device, study)
    # A resumed sampler must not draw its first values again.
    study.sampler = optuna.samplers.TPESampler(
        seed=tuning.seed + len(study.trials), n_startup_trials=6
    )
    while runner.left > 0:
        study.optimize(runner.objective, n_trials=1)
    return _choice(tuning, study, runner.spent)


class _Runner:
    """Runs trials and keeps count of their seconds, those of earlier calls included."""

    def __init__(
        self, tuning: Tuning, fold: OpenFold, device: torch.device, study: optuna.Study
    ) -> None:
        self._tuning, self._fold, self._device = tuning, fold, device
        self._steps = int(study.user_attrs[_STEPS])
        self.spent = sum(float(one.user_attrs.get(_SPENT, 0.0)) for one in study.trials)

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self._tuning.budget - self.spent

    def objective(self, trial: optuna.Trial) -> float:
        """Smallest error on the hold-out of one training."""
        tuning, started = self._tuning, time.monotonic()
        recipe = _suggested(trial, tuning.job.recipe, self._steps)
        job = replace(tuning.job, recipe=recipe)
        out = _scratch(tuning) / str(trial.number)
        training = prepare(self._fold, job, SeedJob(tuning.seed, tuning.holdout, out), self._device)
        rows, epochs = training.problem.samples.rows, training.problem.recipe.epochs
        accelerate(
            training.network, self._fold.store, job.machine.engine, passes=len(rows) * epochs
        )

        def judge(trainer: Trainer) -> None:
            progress = trainer.progress
            trial.report(progress.best_error, progress.epoch)
            used_up = time.monotonic() - started > self.left
            late = 3 * progress.epoch >= epochs
            first = trial.number == 0  # what all others are compared with, whatever it takes
            stop = not first and (used_up or (late and trial.should_prune()))
            if stop and progress.epoch < epochs:
                raise optuna.TrialPruned

        try:
            result = fit(training, after_epoch=judge)
        finally:
            shutil.rmtree(out, ignore_errors=True)
            seconds = time.monotonic() - started
            trial.set_user_attr(_SPENT, seconds)
            self.spent += seconds
        trial.set_user_attr("epochs", result.progress.epoch)
        return result.progress.best_error


def _suggested(trial: optuna.Trial, recipe: Recipe, steps: int) -> Recipe:
    """The recipe that a trial trains."""
    inits: list[Any] = ["pretrained", "scratch"] if recipe.model == "chgnet" else ["scratch"]
    losses: list[Any] = ["l1", "huber"] if recipe.loss in ("l1", "huber") else [recipe.loss]
    init: Any = trial.suggest_categorical("init", inits)
    loss: Any = trial.suggest_categorical("loss", losses)
    return replace(
        recipe,
        init=init,
        lr=trial.suggest_float("lr", *LR, log=True),
        loss=loss,
        warmup=trial.suggest_float("warmup", *WARMUP),
        steps=steps,
        patience=recipe.epochs,
    )


def _written(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own values of what is searched, moved into the ranges."""
    return {
        "init": recipe.init,
        "lr": min(max(recipe.lr, LR[0]), LR[1]),
        "loss": recipe.loss,
        "warmup": min(max(recipe.warmup, WARMUP[0]), WARMUP[1]),
    }


def trial_steps(tuning: Tuning, fold: OpenFold, device: torch.device) -> int:
    """Steps of a trial: the whole training's, or what lets `TRIALS` of them into the budget.

    Args:
        tuning: The search.
        fold: Its open fold.
        device: Where it trains.
    """
    out = _scratch(tuning) / "timing"
    training = prepare(fold, tuning.job, SeedJob(tuning.seed, tuning.holdout, out), device)
    problem = training.problem
    trainer = Trainer(training.network, problem, training.log)
    batches = trainer.epoch_batches()
    trainer.run_step(batches[0])  # warms up
    timed = batches[1 : 1 + TIMED_STEPS] or batches[:1]
    started = time.perf_counter()
    for picked in timed:
        trainer.run_step(picked)
    per_step = (time.perf_counter() - started) / len(timed)
    per_epoch = steps_per_epoch(problem.samples, problem.recipe)
    # A training ends with an epoch, so a trial has whole ones.
    affordable = int(tuning.budget / TRIALS / per_step / per_epoch)
    return per_epoch * min(problem.recipe.epochs, max(MIN_EPOCHS, affordable))


def _scratch(tuning: Tuning) -> Path:
    """Folder of states while a trial runs; of a name that nothing of the user's has."""
    return tuning.out / f".{tuning.job.recipe_name}.trials"


def _study_name(tuning: Tuning, fold: OpenFold) -> str:
    return f"{tuning.job.recipe_name}_{_identity(tuning, fold)[:12]}"


def _identity(tuning: Tuning, fold: OpenFold) -> str:
    """Of everything but the budget; test targets are no part of it."""
    fitted, validated = fold.parts(tuning.holdout)
    return canonical_sha256(
        {
            "recipe": tuning.job.recipe.as_dict(),
            "transform": tuning.job.transform,
            "extensive": tuning.job.extensive,
            "targets": [fold.targets[crystal] for crystal in (*fitted, *validated)],
            "graphs": store_sha256(tuning.files.graphs),
            "split": file_sha256(tuning.files.split),
            "seed": tuning.seed,
            "holdout": tuning.holdout,
        }
    )


def _choice(tuning: Tuning, study: optuna.Study, spent: float) -> dict[str, Any]:
    complete = study.get_trials(states=[TrialState.COMPLETE])
    if not complete:
        raise FoldwiseError(
            "no trial was complete", where="--budget", hint="Give it more time and call it again."
        )
    best = min(complete, key=lambda one: (one.value, one.number))
    written = [one for one in complete if one.number == 0]
    split = read_json(tuning.files.split)
    return {
        "recipe": tuning.job.recipe_name,
        "chosen": _plain(best.params),
        "validation_error": best.value,
        "validation_error_as_written": written[0].value if written else None,
        "as_written": _written(tuning.job.recipe),
        "trial": best.number,
        "trials": {"complete": len(complete), "pruned": _count(study, TrialState.PRUNED)},
        "steps_of_a_trial": int(study.user_attrs[_STEPS]),
        "task": split["task"],
        "fold": split["fold"],
        "holdout": tuning.holdout,
        "seed": tuning.seed,
        "budget_s": tuning.budget,
        "spent_s": spent,
    }


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Rounded to three figures: more is noise, and a config is read by people."""
    return {
        key: float(f"{value:.3g}") if isinstance(value, float) else value
        for key, value in parameters.items()
    }


def _count(study: optuna.Study, state: TrialState) -> int:
    return len(study.get_trials(states=[state]))


def trial_table(tuning: Tuning) -> pd.DataFrame:
    """Every finished trial of a search, best first; other inputs are another search."""
    storage = f"sqlite:///{tuning.out / 'study.db'}"
    fold = open_fold(tuning.files, tuning.job.recipe, torch.device("cpu"))
    study = optuna.load_study(study_name=_study_name(tuning, fold), storage=storage)
    rows = [
        {
            "trial": one.number,
            "state": one.state.name.lower(),
            "validation_error": min(one.intermediate_values.values(), default=math.nan),
            "epochs": max(one.intermediate_values, default=0),
            "seconds": one.user_attrs.get(_SPENT),
            **one.params,
        }
        for one in study.get_trials(states=list(_DONE))
    ]
    return pd.DataFrame(rows).sort_values(["state", "validation_error", "trial"], ignore_index=True)
