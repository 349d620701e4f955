"""LEADERBOARD.md, LEADERBOARD.csv and STEPS.csv: all tasks beside what was published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import read_json, read_parquet, write_csv, write_text
from foldwise.common.templates import fill_template
from foldwise.experiment.comparison.leaderboard import read_leaderboard
from foldwise.statistics.intervals import Interval
from foldwise.statistics.wording import signed_text, value_text
from foldwise.submissions.board.rules import CHOSEN, MEANING
from foldwise.submissions.board.standings import (
    CSV_COLUMNS,
    Standing,
    best_of,
    csv_rows,
    standings,
)
from foldwise.submissions.board.steps import STEP_COLUMNS, Step, crystal_gain, steps
from foldwise.submissions.board.task import ANSWER_COLUMNS
from foldwise.submissions.scoring import CROSS_FOLD, metric_name
from foldwise.tasks.official import any_official_task

TEMPLATE = "LEADERBOARD.md.j2"


def write_board(
    folders: Sequence[str | Path],
    census_path: str | Path,
    absent: Sequence[str],
    out: tuple[str | Path, str | Path, str | Path],
) -> None:
    """Write the three files.

    Args:
        folders: What `combine_task` wrote, one folder per task.
        census_path: `census.json`.
        absent: Submissions that the config names and the folder lacks.
        out: The Markdown file, the table of rules and the table of steps.

    Raises:
        FoldwiseError: A file is missing or damaged.
    """
    rows: list[dict[str, Any]] = []
    step_rows: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    empty: list[str] = []
    for folder in map(Path, folders):
        combined = read_json(folder / "combined.json")
        task = str(combined["task"])
        if not combined["members"]:
            empty.append(task)
            continue
        official = any_official_task(task)
        classes = official is not None and official.is_classification
        board = read_leaderboard(task)
        best = {start: best_of(board, start) for start in ("scratch", "pretrained")}
        answers = read_parquet(folder / "answers.parquet", (*ANSWER_COLUMNS, CHOSEN))
        found = standings(answers, classification=classes)
        rows += csv_rows(task, found, best["scratch"], classification=classes)
        gains = steps(
            answers,
            combined["inner_loss"],
            combined["chosen"],
            classification=classes,
        )
        step_rows += [_step_row(task, step, metric_name(classes)) for step in gains]
        unit = board["unit"] if board else ""
        section = _section(task, unit, found, best, combined, classes=classes)
        crystals = crystal_gain(answers, classification=classes)
        section["crystals"] = _crystals(crystals, unit) if crystals else None
        tasks.append({**section, "steps": [_step_line(step) for step in gains]})
    census = read_json(census_path)
    context = {
        "tasks": tasks,
        "empty": empty,
        "meaning": MEANING,
        "statement": CROSS_FOLD,
        "files": census["files"],
        "refused": census["refused"],
        "notes": census["notes"],
        "absent": list(absent),
    }
    markdown, csv, steps_csv = out
    write_csv(csv, pd.DataFrame(rows, columns=list(CSV_COLUMNS)))
    write_csv(steps_csv, pd.DataFrame(step_rows, columns=list(STEP_COLUMNS)))
    write_text(markdown, fill_template(TEMPLATE, context, {}))


def _section(
    task: str,
    unit: str,
    found: list[Standing],
    best: dict[str, dict[str, Any] | None],
    combined: dict[str, Any],
    *,
    classes: bool,
) -> dict[str, Any]:
    """What the page says about one task."""
    metric = metric_name(classes)
    headline = next(standing for standing in found if standing.rule == CHOSEN)
    scratch = best["scratch"]
    better = None
    if scratch:
        better = (
            headline.value > float(scratch[metric])
            if classes
            else headline.value < float(scratch[metric])
        )
    published = {
        start: f"{value_text(float(entry[metric]))} ({entry['name']})" if entry else "none"
        for start, entry in best.items()
    }
    return {
        "name": task,
        "short": task.removeprefix("matbench_"),
        "classes": classes,
        "metric": "ROC-AUC of labels" if classes else f"MAE, {unit}",
        "headline": value_text(headline.value),
        "interval": _ends(headline.interval),
        "rocauc": value_text(headline.rocauc) if headline.rocauc is not None else None,
        "rules": [
            {
                "rule": standing.rule,
                "value": value_text(standing.value),
                "interval": _ends(standing.interval),
                "difference": _difference(standing),
                "folds": ", ".join(value_text(score) for score in standing.folds),
            }
            for standing in found
        ],
        "by_rule": {standing.rule: value_text(standing.value) for standing in found},
        "members": combined["members"],
        "chosen": combined["chosen"],
        "published": published,
        "sources": [
            f"{entry['name']}: {entry['source']} ({entry['date']})"
            for entry in best.values()
            if entry
        ],
        "better": better,
        "leave_one_out": sorted(
            ((name, signed_text(value)) for name, value in combined["leave_one_out"].items()),
            key=lambda pair: -combined["leave_one_out"][pair[0]],
        ),
    }


def _step_row(task: str, step: Step, metric: str) -> dict[str, Any]:
    gain = step.gain
    values = (task, step.rule, step.after, metric, step.seen, gain.estimate, gain.low, gain.high)
    return dict(zip(STEP_COLUMNS, values, strict=True))


def _step_line(step: Step) -> dict[str, str]:
    return {
        "rule": step.rule,
        "after": step.after,
        "seen": signed_text(step.seen),
        "gain": _with_ends(step.gain),
    }


def _ends(interval: Interval) -> str:
    return f"[{value_text(interval.low)}, {value_text(interval.high)}]"


def _difference(standing: Standing) -> str:
    """The difference to the chosen rule with its interval; `*` where it excludes zero."""
    difference = standing.to_chosen
    if difference is None:
        return ""
    return _with_ends(difference)


def _with_ends(interval: Interval) -> str:
    """The estimate with its interval; `*` where it excludes zero."""
    star = " *" if interval.excludes_zero else ""
    ends = f"[{signed_text(interval.low)}, {signed_text(interval.high)}]"
    return f"{signed_text(interval.estimate)} {ends}{star}"


def _crystals(gain: Interval, unit: str) -> str:
    return (
        f"{gain.rows:,} rows have a crystal structure; on them `structure` is better than the rule "
        f"before it by {_with_ends(gain)} {unit}".rstrip()
    )
