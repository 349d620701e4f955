"""What a search for a recipe reads and writes: the study's files, a table and a figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.figure_style import BLUE, ORANGE, STYLE, save_figure
from foldwise.common.files import write_csv, write_json, write_text
from foldwise.network.machine import Machine
from foldwise.study.checks import check_known
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study
from foldwise.training.files import TrainingFiles
from foldwise.training.job import TrainingJob
from foldwise.training.tuning import Tuning

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
COLOURS = {"pretrained": BLUE, "scratch": ORANGE}


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


def write_pages(folder: Path, chosen: dict[str, Any], table: pd.DataFrame, unit: str) -> None:
    """Write `{recipe}.json`, `{recipe}_trials.csv`, `{recipe}_trials.png|svg` and `README.txt`.

    Args:
        folder: Folder of the search.
        chosen: What the search returned.
        table: All finished trials.
        unit: Unit of the error.
    """
    name = chosen["recipe"]
    write_csv(folder / f"{name}_trials.csv", table)
    with plt.rc_context(STYLE):
        write_figure(folder / f"{name}_trials", chosen, table, unit)
    write_text(folder / "README.txt", readme(folder, chosen, unit))
    write_json(folder / f"{name}.json", chosen)


def write_figure(stem: Path, chosen: dict[str, Any], table: pd.DataFrame, unit: str) -> None:
    """Error on the hold-out by learning rate; pruned trials are hollow."""
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for (init, state), rows in table.groupby(["init", "state"]):
        colour, pruned = COLOURS[str(init)], state == "pruned"
        axes.scatter(
            rows["lr"], rows["validation_error"], label=f"{init}, {state}",
            facecolors="none" if pruned else colour, edgecolors=colour,
        )  # fmt: skip
    best, before = chosen["validation_error"], chosen["validation_error_as_written"]
    as_written = chosen["as_written"]["lr"]
    if before is not None:
        axes.scatter(
            as_written, before, s=120, facecolors="none", edgecolors="0.3", label="as written"
        )
    axes.axhline(best, color="0.6", linewidth=0.8)
    axes.set(
        xscale="log",
        xlabel="peak learning rate",
        ylabel=f"error on the hold-out ({unit})",
        title=title_of(chosen, unit),
    )
    axes.legend()
    save_figure(stem, figure)
    plt.close(figure)


def title_of(chosen: dict[str, Any], unit: str) -> str:
    """What the search found, against the recipe as it is written."""
    best, before = chosen["validation_error"], chosen["validation_error_as_written"]
    found = f"{best:.3g} {unit} at lr {chosen['chosen']['lr']:.2g}, {chosen['chosen']['init']}"
    if before is None:
        return f"{found}; the recipe as written did not finish"
    if chosen["trial"] == 0:
        return f"Nothing was better than the recipe as written: {before:.3g} {unit}"
    return f"{found}; as written {before:.3g}"


def readme(folder: Path, chosen: dict[str, Any], unit: str) -> str:
    """What was searched, found, and how it is adopted."""
    name, written = chosen["recipe"], chosen["validation_error_as_written"]
    found = f"  best error on the hold-out   {chosen['validation_error']:.4g} {unit}"
    before = "  the recipe as it is written  " + (
        f"{written:.4g} {unit}" if written is not None else "not finished"
    )
    return "\n".join(
        [
            f"Search for the recipe {name!r}",
            "",
            f"On hold-out {chosen['holdout']} of fold {chosen['fold']} of {chosen['task']}, with "
            f"seed {chosen['seed']}. No test row was read.",
            f"{chosen['trials']['complete']} whole and {chosen['trials']['pruned']} pruned "
            f"trials of {chosen['steps_of_a_trial']} steps each, "
            f"{chosen['spent_s'] / 60:.1f} min of training.",
            "",
            found,
            before,
            f"  chosen                       {_words(chosen['chosen'])}",
            "",
            "Trials may be shorter than the study's own training; the learning rate that wins a "
            "short one",
            "is rather high for a long one. The smallest of many errors on one hold-out flatters "
            "the choice.",
            "",
            "The study adopts it with one line of its config:",
            "",
            f"recipes: {{{name}: {{tuned: {folder / (name + '.json')}}}}}",
            "",
        ]
    )


def _words(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in parameters.items()
    )
