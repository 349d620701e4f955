"""The folder of a task of the leaderboard: every rule, and the chosen one in full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import (
    read_json,
    read_parquet,
    replaced_folder,
    write_json,
    write_parquet,
    write_text,
)
from foldwise.common.templates import fill_template
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.types import InputPaths, Json, Paths
from foldwise.experiment.job import write_experiment
from foldwise.experiment.record.matbench_files import write_submission
from foldwise.statistics.wording import value_text
from foldwise.submissions.board.rules import CHOSEN, MEANING
from foldwise.submissions.board.task import ANSWER_COLUMNS
from foldwise.submissions.scoring import CROSS_FOLD, fold_score, metric_name
from foldwise.tasks.official import any_official_task

TITLE = "What public submissions know together: the rule that the other folds chose"
CONFIG = "chosen.json"
CONTENT = (*MEANING, CHOSEN, CONFIG, "README.txt")
PURPOSE = (
    "How accurate a combination of all public submissions is whose rule and settings were chosen, "
    "for each fold, on the other folds alone."
)


@dataclass(frozen=True)
class BoardPaths:
    """Where the inputs of a task's folder are.

    Attributes:
        members: Folder of the task's members.
        answers: Folder that `combine_task` wrote.
        targets: `targets.parquet`.
        card: `card.json`.
        dataset_failures: `failures.csv`.
        duplicates: `duplicates.json`; None for a class.
        splits: One JSON per fold; none for a class.
    """

    members: str | Path
    answers: str | Path
    targets: str | Path
    card: str | Path
    dataset_failures: str | Path
    duplicates: str | Path | None
    splits: Paths


def write_board_task(
    paths: BoardPaths, task: str, study: Json, out: str | Path, command: str | None = None
) -> None:
    """Write the folder of a task, replacing an older one only when complete.

    Args:
        paths: Its inputs.
        task: Official task.
        study: What all experiments on the task have in common.
        out: The folder.
        command: The command that makes it again, if known.

    Raises:
        FoldwiseError: An input is missing or damaged, or matbench does not accept the answers.
    """
    official = any_official_task(task)
    classes = official is not None and official.is_classification
    answers = Path(paths.answers)
    combined = read_json(answers / "combined.json")
    with replaced_folder(out, CONTENT) as folder:
        if not combined["members"]:
            write_text(folder / "README.txt", f"No submission has {task}; nothing was combined.\n")
            return
        table = read_parquet(answers / "answers.parquet", (*ANSWER_COLUMNS, CHOSEN))
        for rule in table.columns.difference(list(ANSWER_COLUMNS), sort=False):
            if rule != CHOSEN or classes:
                _write_rule(folder / str(rule), task, str(rule), table, combined, classes=classes)
        if classes:
            _write_class_submission(folder / CHOSEN, task, table, combined)
        else:
            config = _experiment(task, study, combined, Path(paths.members))
            write_json(folder / CONFIG, config)
            inputs = load_inputs(_input_paths(paths, folder / CONFIG, combined), CHOSEN)
            write_experiment(inputs, folder / CHOSEN, command)
            (folder / CONFIG).unlink()


def _write_rule(
    folder: Path, task: str, rule: str, table: pd.DataFrame, combined: Json, *, classes: bool
) -> None:
    found = table[["id", "fold", "target", rule]].rename(columns={rule: "prediction"})
    write_parquet(folder / "predictions.parquet", found)
    scores = _scores(table, rule, classes=classes)
    context = {
        "task": task,
        "rule": rule,
        "meaning": MEANING[rule],
        "metric": {"mae": "MAE", "rocauc": "ROC-AUC of labels"}[metric_name(classes)],
        "better": "higher" if classes else "lower",
        "value": value_text(float(np.mean(scores))),
        "folds": ", ".join(value_text(score) for score in scores),
        "members": combined["members"],
        "statement": CROSS_FOLD,
        "chosen": combined["chosen"] if rule == CHOSEN else None,
    }
    write_text(folder / "README.txt", fill_template("board_README.txt.j2", context, {}))


def _scores(table: pd.DataFrame, rule: str, *, classes: bool) -> list[float]:
    return [
        fold_score(
            rows["target"].to_numpy(dtype=np.float64),
            rows[rule].to_numpy(dtype=np.float64),
            classes,
        )
        for _, rows in table.groupby("fold")
    ]


def _write_class_submission(folder: Path, task: str, table: pd.DataFrame, combined: Json) -> None:
    official = any_official_task(task)
    scores = _scores(table, CHOSEN, classes=True)
    record = {
        "task": task,
        "metric": "rocauc",
        "folds": scores,
        "mean": float(np.mean(scores)),
        "std": float(np.std(scores)),
        "members": combined["members"],
        "chosen": combined["chosen"],
        "leakage": CROSS_FOLD,
    }
    write_json(folder / "results.json", record)
    if official is None or len(table) != official.n_samples:
        return
    by_id = table.set_index("id")
    write_submission(
        folder / "matbench",
        task,
        by_id["target"],
        by_id[CHOSEN],
        params={"members": combined["members"], "chosen": list(combined["chosen"].values())},
        metadata={"algorithm": TITLE},
        expected=record["mean"],
    )


def _input_paths(paths: BoardPaths, config: Path, combined: Json) -> InputPaths:
    """Where an experiment of recorded teachers finds its files."""
    assert paths.duplicates is not None, "a regression has its splits"
    members, answers = Path(paths.members), Path(paths.answers)
    folds = [answers / f"fold_{fold}" for fold in sorted(combined["chosen"], key=int)]
    each = [members / name for name in combined["members"]]
    return InputPaths(
        config=config,
        targets=paths.targets,
        card=paths.card,
        dataset_failures=paths.dataset_failures,
        duplicates=paths.duplicates,
        splits=paths.splits,
        ensembles=[fold / "test.parquet" for fold in folds],
        submissions=[member / "scores.json" for member in each],
        submission_predictions=[member / "predictions.parquet" for member in each],
        combinations=[fold / "test.json" for fold in folds],
    )


def _experiment(task: str, study: Json, combined: Json, members: Path) -> dict[str, Any]:
    """The resolved experiment, as the folder's `config.json` keeps it."""
    names = combined["members"]
    sha256 = {name: read_json(members / name / "scores.json")["sha256"] for name in names}
    return {
        **study,
        "task": task,
        "experiment": CHOSEN,
        "title": TITLE,
        "purpose": PURPOSE,
        "recipe_name": CHOSEN,
        "recipe": {"members": names, "combine": CHOSEN, "booster": None, "sha256": sha256},
        "seeds": [],
        "tta": 1,
        "parents": [],
    }
