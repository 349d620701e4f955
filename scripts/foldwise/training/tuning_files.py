"""Where a study keeps what a search reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.network.machine import Machine
from foldwise.study.checks import check_known
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study
from foldwise.training.files import TrainingFiles
from foldwise.training.job import TrainingJob
from foldwise.training.tuning import Tuning

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Seconds of a time such as `90s`, `20min` or `2h`.

    Raises:
        FoldwiseError: It is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if match is None or float(match[1]) == 0:
        raise FoldwiseError(
            f"{text!r} is no time", where="--budget", hint="Write it as 90s, 20min or 2h."
        )
    return float(match[1]) * UNITS[match[2]]


def tuning_of(study: Study, recipe: str, budget: float, machine: Machine, config: str) -> Tuning:
    """The search for a recipe of a study, on its first fold.

    Args:
        study: The study.
        recipe: Name of the recipe.
        budget: Seconds of training.
        machine: What it computes on.
        config: Config files beside the default one, for the message.

    Raises:
        FoldwiseError: There is no such recipe, or the study's data has not been made yet.
    """
    check_known(recipe, study.recipes, "--recipe")
    chosen = study.recipes[recipe]
    if not isinstance(chosen, Recipe):
        raise FoldwiseError(
            f"{recipe} is trained by a program of its own",
            where="--recipe",
            hint="Let that program choose, or name a recipe of CHGNet.",
        )
    task, fold = study.task, study.folds[0]
    dataset, root = study.datasets[task], Path(study.root)
    files = TrainingFiles(
        targets=root / "data" / task / "targets.parquet",
        graphs=root / "data" / task / "graphs",
        split=root / "splits" / task / f"fold_{fold}.json",
    )
    wanted = [path for path in (files.targets, files.graphs, files.split) if not path.exists()]
    if wanted:
        names = " ".join(map(str, wanted))
        given = f"--configfile {config} -- " if config else ""
        raise FoldwiseError(
            f"there is no {wanted[0]}",
            where=f"study {study.run or 'default'}",
            hint=f"Run snakemake --cores 2 {given}{names} first.",
        )
    job = TrainingJob(
        recipe_name=recipe,
        recipe=chosen,
        transform=dataset["transform"],
        machine=machine,
        extensive=not dataset["intensive"],
    )
    return Tuning(files, job, seed=0, holdout=0, budget=budget, out=root / "tuning")
