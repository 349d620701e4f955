"""What every change was worth: each experiment beside those it is compared with, on one page."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context

from foldwise.common.figure_style import STYLE, save_figure
from foldwise.common.files import write_csv, write_text
from foldwise.experiment.figures.ablation import ablation_figure
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.readme import render
from foldwise.experiment.pages.summary import read_records
from foldwise.statistics import STAR_REPLICATES
from foldwise.statistics.wording import over_folds_text, p_text, signed_text, value_text

TAILS = {
    "p95": "abs_err_p95_mean",
    "p99": "abs_err_p99_mean",
    "max": "max_abs_error_max",
}
BETTER, WORSE, EVEN = "better", "worse", "even"


def write_ablation(
    folders: Sequence[str | Path],
    out_markdown: str | Path,
    out_csv: str | Path,
    out_figure: str | Path,
) -> None:
    """Write the page, its table and its figure (PNG and SVG).

    Args:
        folders: Experiment folders, in the config's order.
        out_markdown: ablation.md.
        out_csv: One row per comparison, the largest loss first.
        out_figure: PNG; the SVG is written beside it.
    """
    records = read_records(folders)
    table = ablation_table(records)
    write_csv(out_csv, table)
    write_text(out_markdown, ablation_markdown(records, table, Path(out_figure).name))
    with rc_context(STYLE):
        save_figure(Path(out_figure).with_suffix(""), ablation_figure(table))


def ablation_table(records: Sequence[Json]) -> pd.DataFrame:
    """One row per experiment and experiment that it is compared with, the largest loss first."""
    by_name = {str(record["experiment"]): record for record in records}
    rows = [
        _row(record, by_name[str(entry["against"])], entry, by_name)
        for record in records
        for entry in record["decision"]["comparisons"]
        if entry["against"] in by_name
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.sort_values(
        ["delta_mae", "experiment"], ascending=[False, True], ignore_index=True
    )


_COLUMNS = [
    "experiment", "title", "against", "mae", "mae_against", "delta_mae", "low", "high", "verdict",
    "replicates", "replicates_against", "p_value", "p_adjusted", "star",
    "folds_better", "folds", "p95", "delta_p95", "p99", "delta_p99", "max", "delta_max",
    "device", "training_seconds", "training_seconds_against", "training_passes",
    "training_passes_against", "passes", "passes_against",
    "structures_per_s", "structures_per_s_against", "same_start", "decision",
]  # fmt: skip


def _row(record: Json, parent: Json, entry: Json, by_name: Mapping[str, Json]) -> Json:
    own, other = (_fold_maes(each) for each in (record, parent))
    low, high = entry["interval"]
    rule = record["decision"].get("rule")
    judged = rule is not None and rule.get("against", entry["against"]) == entry["against"]
    tails = {
        key: value
        for tail in TAILS
        for key, value in (
            (tail, _tail(record, tail)),
            (f"delta_{tail}", _tail(record, tail) - _tail(parent, tail)),
        )
    }
    return {
        "experiment": record["experiment"],
        "title": record["title"],
        "against": entry["against"],
        "mae": entry["mae"],
        "mae_against": entry["mae_against"],
        "delta_mae": entry["delta_mae"],
        "low": low,
        "high": high,
        "verdict": BETTER if high < 0 else WORSE if low > 0 else EVEN,
        "replicates": entry["replicates"][0],
        "replicates_against": entry["replicates"][1],
        "p_value": entry["p_value"],
        "p_adjusted": entry["p_adjusted"],
        "star": entry["star"],
        "folds_better": sum(own[fold] < other[fold] for fold in own),
        "folds": len(own),
        **tails,
        "device": record["compute"]["device"],
        "training_seconds": device_seconds(record, by_name),
        "training_seconds_against": device_seconds(parent, by_name),
        "training_passes": record["compute"]["training_passes"],
        "training_passes_against": parent["compute"]["training_passes"],
        "passes": entry["cost"]["passes_per_prediction"],
        "passes_against": entry["cost"]["passes_against"],
        "structures_per_s": entry["cost"]["structures_per_s"],
        "structures_per_s_against": entry["cost"]["structures_per_s_against"],
        "same_start": _seen(record) == _seen(parent),
        "decision": rule["outcome"] if rule is not None and judged else "",
    }


def device_seconds(record: Json, by_name: Mapping[str, Json]) -> float:
    """GPU-seconds, or CPU-seconds, of training the models and their teachers.

    CPU-seconds are those that the processes used, so that a busy machine makes nothing dearer;
    where they were not recorded, wall time times threads. What two experiments share counts for
    each: it is what either would cost alone.
    """
    teachers = by_name.get(str(record["hyperparams"].get("teacher.ensemble")))
    taught = device_seconds(teachers, by_name) if teachers else 0.0
    compute = record["compute"]
    used = record["provenance"]["cost"]["cpu_time_sec"]
    if compute["device"] == "cuda":
        return float(compute["wall_time_sec"]) + taught
    wall = float(compute["wall_time_sec"]) * int(compute["threads"] or 1)
    return (wall if used is None else float(used)) + taught


def training_passes_text(record: Json, by_name: Mapping[str, Json]) -> str:
    """Crystals that the models fitted, each as often as they did, and with those of the teachers.

    >>> student = {"hyperparams": {"teacher.ensemble": "e3"}, "compute": {"training_passes": 2000}}
    >>> teachers = {"hyperparams": {}, "compute": {"training_passes": 6000}}
    >>> training_passes_text(student, {"e3": teachers}), training_passes_text(teachers, {})
    ('2,000 (8,000)', '6,000')
    """
    own = int(record["compute"]["training_passes"])
    teachers = by_name.get(str(record["hyperparams"].get("teacher.ensemble")))
    if teachers is None:
        return f"{own:,}" if own else "–"
    return f"{own:,} ({own + int(teachers['compute']['training_passes']):,})"


def ablation_markdown(records: Sequence[Json], table: pd.DataFrame, figure: str) -> str:
    """The text of ablation.md."""
    by_name = {str(record["experiment"]): record for record in records}
    ranked = sorted(records, key=lambda record: -_mae(record))
    trained = table[["replicates", "replicates_against"]].min(axis=1)
    return render(
        "ablation.md.j2",
        {
            "unit": records[0]["unit"],
            "task": records[0]["task"],
            "figure": figure,
            "seconds": "GPU-s" if records[0]["compute"]["device"] == "cuda" else "CPU-s",
            "experiments": [_experiment_line(record, by_name) for record in ranked],
            "comparisons": [_comparison_line(row) for row in table.to_dict("records")],
            "starred": bool(table["star"].any()),
            "once": bool((trained < STAR_REPLICATES).any()),
            "reviews": [
                record["decision"]["review"] for record in records if record["decision"]["review"]
            ],
            "unequal": not bool(table["same_start"].all()),
            "decisions": [
                f"{str(record['experiment']).upper()}: {record['decision']['rule']['reason']}"
                for record in records
                if record["decision"].get("rule")
            ],
            "cautions": [_caution(record) for record in ranked if _below_reference(record)],
            "reference": value_text(records[0]["metrics"]["baselines"]["element_reference_mae"]),
            "statement": next(
                (record["leakage"]["statement"] for record in records if _seen(record)), None
            ),
        },
    )


def _experiment_line(record: Json, by_name: Mapping[str, Json]) -> list[str]:
    inference = record["compute"]["inference"]
    speed = inference["structures_per_s"]
    star = "\\*" if _seen(record) else ""
    return [
        f"{str(record['experiment']).upper()}{star}",
        str(record["title"]),
        _over_folds(record),
        _over_replicates(record),
        *(value_text(_tail(record, tail)) for tail in TAILS),
        f"{device_seconds(record, by_name):,.0f}",
        training_passes_text(record, by_name),
        str(inference["passes_per_prediction"]),
        f"{speed:,.0f}" if speed else "–",
    ]


def _comparison_line(row: Mapping[Hashable, Any]) -> list[str]:
    ratio = row["training_seconds"] / row["training_seconds_against"]
    interval = f"{signed_text(row['low'])} to {signed_text(row['high'])}"
    mark = {BETTER: "better", WORSE: "**worse**", EVEN: "no difference shown"}[row["verdict"]]
    star = " ★" if row["star"] else ""
    several = min(row["replicates"], row["replicates_against"]) >= STAR_REPLICATES
    return [
        str(row["experiment"]).upper(),
        str(row["against"]).upper() + ("" if row["same_start"] else " †"),
        signed_text(row["delta_mae"]),
        interval,
        f"{mark}{star}",
        p_text(row["p_adjusted"]) if several else "–",
        f"{row['replicates']} / {row['replicates_against']}",
        f"{row['folds_better']} of {row['folds']}",
        *(signed_text(row[f"delta_{tail}"]) for tail in TAILS),
        f"× {ratio:.1f}",
        _instead_of(row["passes"], row["passes_against"]),
        row["decision"],
    ]


def _over_folds(record: Json) -> str:
    scores, folds = record["metrics"]["aggregate"], record["metrics"]["folds"]
    return over_folds_text(scores["mae_mean"], scores["mae_std"], len(folds))


def _over_replicates(record: Json) -> str:
    block = record["metrics"]["over_replicates"]
    if block is None:
        return "–"
    return (
        f"{value_text(block['mae_mean'])} ± {value_text(block['mae_sd'])} "
        f"({len(record['metrics']['replicates'])})"
    )


def _instead_of(passes: int, passes_against: int) -> str:
    return str(passes) if passes == passes_against else f"{passes} instead of {passes_against}"


def _caution(record: Json) -> str:
    return (
        f"{str(record['experiment']).upper()} ({value_text(_mae(record))}) is no better than the "
        "linear element reference, which knows the composition alone."
    )


def _below_reference(record: Json) -> bool:
    return _mae(record) >= float(record["metrics"]["baselines"]["element_reference_mae"])


def _fold_maes(record: Json) -> dict[int, float]:
    return {int(fold["fold"]): float(fold["mae"]) for fold in record["metrics"]["folds"]}


def _mae(record: Json) -> float:
    return float(record["metrics"]["aggregate"]["mae_mean"])


def _tail(record: Json, tail: str) -> float:
    return float(record["metrics"]["aggregate"][TAILS[tail]])


def _seen(record: Json) -> bool:
    return bool(record["leakage"]["test_structures_presumably_seen"])
