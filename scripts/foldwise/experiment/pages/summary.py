"""All experiments on one page: `RESULTS.md` for people, `experiments.csv` for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_csv, write_text
from foldwise.experiment.comparison.leaderboard import CONTAMINATION, read_leaderboard, standing
from foldwise.experiment.inputs.schema import read_record
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.readme import render
from foldwise.statistics.wording import duration_text, over_folds_text, value_text

BEST = 3


def read_records(folders: Sequence[str | Path]) -> list[Json]:
    """`results.json` of each experiment folder, in the order given.

    Raises:
        FoldwiseError: A folder has none, it breaks the schema, or a run stands there twice.
    """
    records: list[Json] = []
    for folder in folders:
        path = Path(folder) / "results.json"
        record = read_record(path)
        if record["config_id"] in {other["config_id"] for other in records}:
            raise FoldwiseError(
                f"{record['config_id']} is given twice", where=str(path), hint="Give it once."
            )
        records.append(record)
    return records


def result_line(record: Json) -> str:
    """One run in one line, e.g. `e4_ab12cd34 | demo_e_form | MAE 0.0182 ± 0.0004 | …`."""
    scores = record["metrics"]["aggregate"]
    n_folds = len(record["metrics"]["folds"])
    start = " *" if record["leakage"]["test_structures_presumably_seen"] else ""
    flag = "NEEDS REVIEW: " if record["decision"]["review"] else ""
    parts = (
        record["config_id"],
        record["task"],
        f"MAE {over_folds_text(scores['mae_mean'], scores['mae_std'], n_folds)}"
        + _replicates_text(record),
        f"RMSE {value_text(scores['rmse_mean'])}",
        f"p95 {value_text(scores['abs_err_p95_mean'])}",
        f"max {value_text(scores['max_abs_error_max'])}",
        duration_text(record["compute"]["wall_time_sec"]),
        f"{flag}{record['title']}{start}",
    )
    return " | ".join(parts)


def _replicates_text(record: Json) -> str:
    block = record["metrics"]["over_replicates"]
    if block is None:
        return ""
    mean, spread = value_text(block["mae_mean"]), value_text(block["mae_sd"])
    return f" (of {len(record['metrics']['replicates'])} replicates {mean}, sd {spread})"


def results_markdown(records: Sequence[Json]) -> str:
    """The text of `RESULTS.md`: one line per run in the order given, and the three best.

    A run that needs a review is not among the best.
    """
    tasks = list(dict.fromkeys(str(record["task"]) for record in records))
    sound = [record for record in records if not record["decision"]["review"]]
    best = {task: _sorted(sound, task)[:BEST] for task in tasks}
    seen = any(record["leakage"]["test_structures_presumably_seen"] for record in records)
    units = sorted({f"{record['unit']} ({record['task']})" for record in records})
    return render(
        "RESULTS.md.j2",
        {
            "lines": [result_line(record) for record in records],
            "reviews": [
                record["decision"]["review"] for record in records if record["decision"]["review"]
            ],
            "best": {task: [_best_line(entry) for entry in best[task]] for task in tasks},
            "units": ", ".join(units),
            "pretrained": seen,
            "standings": _standings(records),
            "contamination": CONTAMINATION,
        },
    )


def _standings(records: Sequence[Json]) -> dict[str, list[Json]]:
    """By task, every complete run among the published results, best first."""
    boards = {task: read_leaderboard(task) for task in dict.fromkeys(r["task"] for r in records)}
    placed = {
        task: [
            {**place, "name": str(record["experiment"]).upper()}
            for record in _sorted(records, task)
            if (place := standing(record, board)) is not None
        ]
        for task, board in boards.items()
    }
    return {task: places for task, places in placed.items() if places}


def _sorted(records: Sequence[Json], task: str) -> list[Json]:
    own = [record for record in records if record["task"] == task]
    return sorted(own, key=lambda entry: (_mae(entry), str(entry["config_id"])))


def _mae(record: Json) -> float:
    return float(record["metrics"]["aggregate"]["mae_mean"])


def _best_line(record: Json) -> str:
    start = " *" if record["leakage"]["test_structures_presumably_seen"] else ""
    name, mae = str(record["experiment"]).upper(), value_text(_mae(record))
    return f"{name} ({record['title']}): MAE {mae}{start}"


def leaderboard(records: Sequence[Json]) -> pd.DataFrame:
    """All runs, task by task, the worst MAE first."""
    tasks = sorted({str(record["task"]) for record in records})
    ordered = [record for task in tasks for record in reversed(_sorted(records, task))]
    return pd.DataFrame([_leaderboard_line(record) for record in ordered])


def _leaderboard_line(record: Json) -> Json:
    scores, compute = record["metrics"]["aggregate"], record["compute"]
    pooled = record["metrics"]["pooled"]
    return {
        "task": record["task"],
        "experiment": record["experiment"],
        "config_id": record["config_id"],
        "title": record["title"],
        "pretrained": record["leakage"]["pretrained"],
        "test_presumably_seen": record["leakage"]["test_structures_presumably_seen"],
        "unit": record["unit"],
        "mae_mean": scores["mae_mean"],
        "mae_std": scores["mae_std"],
        "mae_all_rows": pooled["mae"],
        "mae_low": pooled["interval"][0],
        "mae_high": pooled["interval"][1],
        "rmse_mean": scores["rmse_mean"],
        "abs_err_p95_mean": scores["abs_err_p95_mean"],
        "max_abs_error_max": scores["max_abs_error_max"],
        "passes_per_prediction": compute["inference"]["passes_per_prediction"],
        "parameters": compute["inference"]["parameters"],
        "structures_per_s": compute["inference"]["structures_per_s"],
        "wall_time_sec": compute["wall_time_sec"],
    }


def write_summary(
    folders: Sequence[str | Path], out_markdown: str | Path, out_csv: str | Path
) -> None:
    """Read the experiments in `folders` and write both summaries."""
    records = read_records(folders)
    write_text(out_markdown, results_markdown(records))
    write_csv(out_csv, leaderboard(records))
