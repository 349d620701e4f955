"""Search for the settings of entity fine-tuning with Optuna, resumable, on held-out samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256, write_csv, write_json
from foldwise.mlm.evaluation.job import EvaluationSettings, evaluate, sample_table
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.samples.files import read_samples
from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.checkpoints import BEST
from foldwise.mlm.training.job import finetune_entities
from foldwise.mlm.training.trainer import TrainingPlan

COMPLETE = optuna.trial.TrialState.COMPLETE


@dataclass(frozen=True)
class SearchSpace:
    """Lowest and highest value of what is searched.

    Attributes:
        lr: Peak learning rate, drawn on a logarithmic scale.
        mask_rate: Share of the tokens that random masking hides.
        entity_fraction: Share of the examples that hide mentions of nouns.
        epochs: Passes through the training texts.
    """

    lr: tuple[float, float] = (1e-5, 5e-3)
    mask_rate: tuple[float, float] = (0.1, 0.4)
    entity_fraction: tuple[float, float] = (0.2, 1.0)
    epochs: tuple[int, int] = (1, 10)

    def check(self) -> None:
        """Check that each range has its lower end first.

        Raises:
            FoldwiseError: One has not, or holds a senseless value.
        """
        limits = {"lr": 1.0, "mask_rate": 1.0, "entity_fraction": 1.0, "epochs": 1e6}
        for name, limit in limits.items():
            low, high = getattr(self, name)
            if not 0 < low <= high <= limit:
                raise FoldwiseError(
                    f"{low} to {high} is no range within 0 and {limit:g}",
                    where=f"--{name.replace('_', '-')}",
                    hint="Give the lower end first.",
                )


@dataclass(frozen=True)
class Search:
    """What is searched, and where everything lies.

    Attributes:
        checkpoint: Folder to start each fine-tuning from.
        dataset: Folder of a prepared corpus.
        samples: Sample file that judges; made from held-out texts, never from those that a result
            is reported on.
        space: The ranges.
        plan: What all fine-tunings share.
        out: Folder of the search.
    """

    checkpoint: Path
    dataset: Path
    samples: Path
    space: SearchSpace
    plan: TrainingPlan
    out: Path


def eval_real_coref_top1(
    checkpoint: str | Path, samples: str | Path, cache: str | Path, threads: int = 1
) -> float:
    """Real@1 of a checkpoint on a sample file.

    Args:
        checkpoint: Folder of the model.
        samples: Frozen sample file.
        cache: Folder of the answers; shared with `eval_real_coref_top5`, which then asks nothing.
        threads: CPU threads.
    """
    return _rate("hit1", checkpoint, samples, cache, threads)


def eval_real_coref_top5(
    checkpoint: str | Path, samples: str | Path, cache: str | Path, threads: int = 1
) -> float:
    """Real@5 of a checkpoint on a sample file; arguments as `eval_real_coref_top1`."""
    return _rate("hit5", checkpoint, samples, cache, threads)


OBJECTIVES: dict[str, Callable[[str | Path, str | Path, str | Path, int], float]] = {
    "real1": eval_real_coref_top1,
    "real5": eval_real_coref_top5,
}


def _rate(
    column: str, checkpoint: str | Path, samples: str | Path, cache: str | Path, threads: int
) -> float:
    settings = EvaluationSettings(threads=threads)
    table = sample_table(evaluate(str(checkpoint), samples, None, settings, cache))
    return float(table[column].mean())


def search(task: Search, metric: str, trials: int, seed: int) -> dict[str, Any]:
    """Run the search until `trials` trials are complete; a second call goes on where one stopped.

    Writes `study.db`, `trials.csv` (worst first) and `best.json` to the folder of the search; each
    trial's checkpoints lie in `trial-{number}`.

    Args:
        task: What is searched.
        metric: One of `OBJECTIVES`.
        trials: Complete trials in the end.
        seed: Decides what is tried.

    Raises:
        FoldwiseError: A range is senseless, the samples share texts with the training, an input is
            broken, or the folder holds another search.
    """
    task.space.check()
    _check_disjoint(task)
    task.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # an error is one line of ours
    identity = canonical_sha256(
        {
            "model": load_masked_model(task.checkpoint).identity,
            "samples": file_sha256(task.samples),
            "texts": file_sha256(task.dataset / "training.jsonl"),
            "metric": metric,
            "space": asdict(task.space),
            "plan": asdict(task.plan) | {"threads": None},
            "seed": seed,
        }
    )
    storage = f"sqlite:///{task.out / 'study.db'}"
    study = _open(storage, f"{metric}_{identity[:12]}", task.out)
    done = len(study.get_trials(states=[COMPLETE]))
    for number in range(done, trials):
        # Each trial has a seed and a folder of its own number: a search that was stopped makes the
        # same trials as one that was not.
        study.sampler = optuna.samplers.TPESampler(seed=seed + number)
        study.optimize(partial(_objective, task=task, metric=metric, number=number), n_trials=1)
    finished = study.get_trials(states=[COMPLETE])
    rows = [
        {"trial": number, metric: one.value, **one.params} for number, one in enumerate(finished)
    ]
    at = [one.number for one in finished].index(study.best_trial.number)
    table = pd.DataFrame(rows).sort_values([metric, "trial"], ignore_index=True)
    write_csv(task.out / "trials.csv", table)
    best = {
        "metric": metric,
        "value": study.best_value,
        "parameters": study.best_params,
        "checkpoint": str(task.out / f"trial-{at}" / BEST),
        "trials": len(finished),
    }
    write_json(task.out / "best.json", best)
    return best


def _open(storage: str, name: str, out: Path) -> optuna.Study:
    """The study of a folder; trials that a kill cut off are given up, and made again.

    Raises:
        FoldwiseError: The folder holds another search.
    """
    others = [each for each in optuna.get_all_study_names(storage) if each != name]
    if others:
        raise FoldwiseError(
            "it holds a search with another start, other data, ranges or settings",
            where=str(out),
            hint="Name another --output-dir.",
        )
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True
    )
    for one in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    return study


def _objective(trial: optuna.Trial, task: Search, metric: str, number: int) -> float:
    space = task.space
    rules = replace(
        task.plan.rules,
        mask_rate=trial.suggest_float("mask_rate", *space.mask_rate),
        entity_fraction=trial.suggest_float("entity_fraction", *space.entity_fraction),
    )
    plan = replace(
        task.plan,
        rules=rules,
        lr=trial.suggest_float("lr", *space.lr, log=True),
        passes=trial.suggest_int("epochs", *space.epochs),
    )
    out = task.out / f"trial-{number}"
    finetune_entities(task.checkpoint, task.dataset, plan, out)
    cache = task.out / "cache"
    return OBJECTIVES[metric](out / BEST, task.samples, cache, plan.threads)


def _check_disjoint(task: Search) -> None:
    training = {text.id for text in read_tagged_texts(task.dataset / "training.jsonl")}
    shared = {sample.text_id for sample in read_samples(task.samples).samples} & training
    if shared:
        raise FoldwiseError(
            f"{len(shared)} of its texts are training texts",
            where=str(task.samples),
            hint="Build the samples from heldout.jsonl of the corpus.",
        )
