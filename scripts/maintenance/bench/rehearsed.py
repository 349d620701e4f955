"""From a rehearsal at full size to the hours of each experiment of a study: a projection.

Nothing is extrapolated over sizes: steps, predictions and jobs of the same crystals were measured.
What is not measured is that every step and every row takes as long as those that were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json, write_text
from foldwise.study.passes import passes_per_epoch
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study
from maintenance.bench.rehearsal.job import TRAININGS

STAGES = "stages.csv"
ONCE = ("prepare_dataset", "build_graphs", "report_duplicates", "make_splits")
"""Stages that a study makes once, the last one for each fold."""


@dataclass(frozen=True)
class Rates:
    """What a rehearsal has measured, in processor seconds of one thread.

    Attributes:
        structures: Of the task.
        fit: Of fitting one crystal once.
        answer: Of answering for one crystal once.
        data: Of everything before the first training.
        folder: Of one result folder.
    """

    structures: int
    fit: float
    answer: float
    data: float
    folder: float


def read_rates(folder: Path, study: Study, model: str = "chgnet") -> Rates:
    """The rates of a rehearsal of the study's task.

    Args:
        folder: `results/rehearsal_{task}`, made with `--fit` and `--model` as here.
        study: The study that is projected.
        model: Network whose figures count.

    Raises:
        FoldwiseError: A table is missing, or holds no such network or stage.
    """
    card = f"data/{study.task}/card.json"
    for name in (TRAININGS, STAGES, card):
        if not (folder / name).is_file():
            raise _no_rehearsal(study, model, folder / name, "the file is missing")
    try:
        trainings = pd.read_csv(folder / TRAININGS).set_index("training")
        own = trainings[trainings["model"] == model]
        if "teacher" not in own.index:
            raise _no_rehearsal(study, model, folder / TRAININGS, f"no training of {model} in it")
        step = float(own["cpu_seconds_per_step"]["teacher"])
        seconds = pd.read_csv(folder / STAGES).set_index("stage")["cpu_seconds"]
        structures = int(read_json(folder / card)["n_accepted"])
        folds = int(study.splits["folds"])
        once = {name: float(seconds[name]) for name in ONCE}
        # A prediction asks about the test rows twice, to time them, and about the training rows.
        answers = structures * (1 + 1 / folds)
        return Rates(
            structures=structures,
            fit=step / int(own["batch_size"]["teacher"]),
            answer=float(seconds["predict"]) / answers,
            data=sum(once.values()) + (folds - 1) * once["make_splits"],
            folder=float(seconds["write_experiment"]),
        )
    except (OSError, KeyError, ValueError) as error:
        problem = (
            f"its tables hold no {error}"
            if isinstance(error, KeyError)
            else f"its tables cannot be read ({error})"
        )
        raise _no_rehearsal(study, model, folder, problem) from error


def _no_rehearsal(study: Study, model: str, place: Path, problem: str) -> FoldwiseError:
    return FoldwiseError(
        problem,
        where=str(place),
        hint=f"Run python scripts/maintenance/make_rehearsal.py --task {study.task} "
        f"--model {model} --fit 2000, then give --rehearsal results/rehearsal_{study.task}.",
    )


def experiment_hours(study: Study, rates: Rates) -> pd.DataFrame:
    """Hours of one thread that each experiment adds to those before it, in the config's order.

    Trainings run all their epochs: none stops early. Validations are in them.

    Args:
        study: The study.
        rates: What a rehearsal has measured.

    Returns:
        Columns `experiment`, `trainings` (new ones), `training_hours`, `other_hours`.
    """
    known: set[tuple[str, int]] = set()
    asked: set[tuple[str, int, int]] = set()
    rows = []
    for name, experiment in study.experiments.items():
        models = {(experiment.recipe, seed) for seed in experiment.all_seeds}
        views = {(*model, experiment.tta) for model in models}
        training = sum(_training_seconds(study, rates, recipe) for recipe, _ in models - known)
        tested = rates.structures / study.splits["folds"]
        answers = sum(
            _answers(rates, study) if tta == 1 else 2 * tta * tested for *_, tta in views - asked
        )
        rows.append(
            {
                "experiment": name,
                "trainings": len(models - known) * len(study.folds),
                "training_hours": len(study.folds) * training / 3600,
                "other_hours": (len(study.folds) * answers * rates.answer + rates.folder) / 3600,
            }
        )
        known |= models
        asked |= views
    return pd.DataFrame(rows)


def longest_chain(study: Study, rates: Rates) -> float:
    """Hours of the longest row of trainings that wait for each other: students for teachers."""

    def chain(recipe: str) -> float:
        teachers = study.teacher_experiment(recipe)
        before = 0.0
        if teachers is not None:
            before = max(chain(model) for model, _ in study.own_models(teachers.name))
        return before + _training_seconds(study, rates, recipe) / 3600

    recipes = {experiment.recipe for experiment in study.experiments.values()}
    return max(chain(recipe) for recipe in recipes)


def project_rehearsed(
    study: Study,
    folder: Path,
    out: Path,
    *,
    nodes: int,
    cores: int,
    price: float | None,
) -> None:
    """Write the projection as JSON to `out` and as a page beside it.

    Args:
        study: The study.
        folder: Rehearsal of its task.
        out: The JSON file.
        nodes: Nodes that compute at once.
        cores: Cores of each; every training takes one.
        price: Of a node and hour, in any currency.

    Raises:
        FoldwiseError: The rehearsal is missing or of another task.
    """
    rates = read_rates(folder, study)
    table = experiment_hours(study, rates)
    hours = float(table["training_hours"].sum() + table["other_hours"].sum()) + rates.data / 3600
    record = {
        "projection": True,
        "study": study.run,
        "rates": asdict(rates),
        "experiments": table.to_dict("records"),
        "core_hours": hours,
        "nodes": nodes,
        "cores": cores,
        "hours_on_nodes_at_least": max(hours / (nodes * cores), longest_chain(study, rates)),
        "cost": None if price is None else price * hours / cores,
    }
    write_json(out, record)
    write_text(out.with_suffix(".md"), _page(study, rates, table, record))


def _training_seconds(study: Study, rates: Rates, name: str) -> float:
    """Of one training of a recipe on one fold."""
    recipe = study.recipes[name]
    if not isinstance(recipe, Recipe):
        return 0.0
    folds, parts = int(study.splits["folds"]), int(study.splits["holdouts"])
    rows = rates.structures * (folds - 1) / folds
    fitted = round(rows * (parts - 1) / parts)
    own = recipe.bounded(fitted)
    passes = passes_per_epoch(own, study.copies["copies"])
    return float(own.epochs) * (fitted * passes * rates.fit + rows / parts * rates.answer)


def _answers(rates: Rates, study: Study) -> float:
    return rates.structures * (1 + 1 / int(study.splits["folds"]))


def _page(study: Study, rates: Rates, table: pd.DataFrame, record: Mapping[str, Any]) -> str:
    lines = [
        "# A projection, not a measurement",
        "",
        f"`{study.run}`: {rates.structures:,} structures, {len(study.folds)} folds. A rehearsal on "
        f"stand-in crystals of this size measured {1000 * rates.fit:.1f} ms for fitting a crystal "
        f"once and {1000 * rates.answer:.1f} ms for answering for one, in processor time of one "
        "thread. Every training is taken to run all its epochs.",
        "",
        "| experiment | new trainings | hours of training | hours beside |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{row.experiment}` | {row.trainings} | {row.training_hours:,.1f} | "
        f"{row.other_hours:,.1f} |"
        for row in table.itertuples()
    ]
    lines += [
        "",
        f"Together, data included: **{record['core_hours']:,.0f} hours of one core**. "
        f"{record['nodes']} node(s) of {record['cores']} cores need "
        f"{record['hours_on_nodes_at_least']:,.0f} hours at least: students wait for teachers.",
    ]
    if record["cost"] is not None:
        lines.append(f"At the given price of a node and hour: {record['cost']:,.0f}.")
    return "\n".join(lines) + "\n"
