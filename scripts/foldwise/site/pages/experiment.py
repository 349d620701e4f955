"""The page of one experiment: what its figures say in their titles, and what stands below them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.files import flatten
from foldwise.experiment.inputs.types import Json
from foldwise.site.reading.comparisons import Comparison
from foldwise.site.reading.curves import log_end
from foldwise.site.reading.experiments import ExperimentFolder
from foldwise.statistics.wording import plural, value_text

WORST_ROWS = 20
OUTLIERS = 20
MIN_GROUP = 5


def experiment_page(
    root: Path,
    experiment: ExperimentFolder,
    comparisons: Sequence[Comparison],
    curves: Sequence[Json],
) -> Json:
    """What the template of an experiment shows."""
    record, rows = experiment.record, experiment.rows
    groups = experiment.groups.replace({np.nan: None}).to_dict("records")
    p50, p95 = np.percentile(rows["abs_error"], (50, 95))
    worst = rows.head(WORST_ROWS).replace({np.nan: None}).to_dict("records")
    return {
        "name": experiment.name,
        "record": record,
        "seen": experiment.seen,
        "purpose": experiment.config.get("purpose", ""),
        "quantity": _quantity(experiment),
        "comparisons": [
            each.as_dict() for each in comparisons if each.experiment == experiment.name
        ],
        "titles": titles(experiment, curves),
        "groups": groups,
        "worst": worst,
        "p50": float(p50),
        "p95": float(p95),
        "review": experiment.review,
        "failures": experiment.diagnostics("failures.csv"),
        "outliers": experiment.diagnostics("outliers.csv")[:OUTLIERS],
        "config": flatten(experiment.config),
        "log": log_end(root / "logs" / "write_experiment" / f"{experiment.name}.log"),
        "curves": [{key: curve[key] for key in _CURVE_FACTS} for curve in curves],
        "downloads": _downloads(experiment),
    }


_CURVE_FACTS = ("fold", "seed", "best_epoch", "stop_reason", "log")


def _quantity(experiment: ExperimentFolder) -> str:
    dataset = experiment.config.get("dataset") or {}
    return str(dataset.get("target_name", "target")).replace("_", " ")


def titles(experiment: ExperimentFolder, curves: Sequence[Json]) -> Json:
    """What each figure shows, in a sentence."""
    record, name = experiment.record, experiment.name.upper()
    unit, rows = record["unit"], experiment.rows
    p50, p95 = np.percentile(rows["abs_error"], (50, 95))
    return {
        "parity": (
            f"{name} predicts {_quantity(experiment)} within {value_text(experiment.mae)} {unit} "
            f"on average ({plural(len(rows), 'test crystal')})"
        ),
        "errors": (
            f"It errs by less than {value_text(p50)} {unit} on half of the crystals, by less than "
            f"{value_text(p95)} on 95\N{NO-BREAK SPACE}%"
        ),
        "groups": _group_title(experiment),
        "curves": _curve_title(curves, unit),
    }


def _group_title(experiment: ExperimentFolder) -> str:
    """The worst group of a fair size whose interval lies beyond the overall MAE, if any."""
    table, name = experiment.groups, experiment.name.upper()
    clear: pd.DataFrame = table[(table["n"] >= MIN_GROUP) & (table["mae_low"] > experiment.mae)]
    if clear.empty:
        return f"In no group does {name} clearly err more than overall"
    worst = clear.iloc[0]
    ratio = float(worst["mae"]) / experiment.mae
    return f"{name} errs most on {worst['description']}: {ratio:.1f} times its overall MAE"


def _curve_title(curves: Sequence[Json], unit: str) -> str:
    if not curves:
        return ""
    epoch = float(np.median([curve["best_epoch"] for curve in curves]))
    best = float(np.median([min(curve["val_mae"]) for curve in curves]))
    return (
        f"Validation MAE is lowest at epoch {epoch:g} (median of {plural(len(curves), 'fit')}), "
        f"at {value_text(best)} {unit}"
    )


_FILES = {
    "predictions.parquet": "every test crystal, for code (Parquet)",
    "actual_vs_predicted.csv": "every test crystal, for spreadsheets (CSV)",
    "groups.csv": "one row per group, worst first (CSV)",
    "raw_outputs.parquet": "every prompt and output of the language model (Parquet)",
    "parse_failures.csv": "outputs without a number (CSV)",
    "results.json": "the record: settings, metrics, cost, leakage, comparisons",
    "config.json": "the resolved settings",
    "README.txt": "the report in words",
}
_SOURCES = {
    "actual_vs_predicted.csv": "diagnostics/actual_vs_predicted.csv",
    "groups.csv": "groups/_index.csv",
    "parse_failures.csv": "diagnostics/parse_failures.csv",
}


def _downloads(experiment: ExperimentFolder) -> list[Json]:
    """What can be taken away: file in the site, its source in the folder, what it is, its size."""
    found = []
    for name, what in _FILES.items():
        source = experiment.folder / _SOURCES.get(name, name)
        if source.is_file():
            found.append(
                {"file": f"files/{experiment.name}/{name}", "source": source, "name": name,
                 "what": what, "megabytes": source.stat().st_size / 1e6}
            )  # fmt: skip
    return found
