"""The content of `results.json`: the record of an experiment."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import numpy as np

from foldwise.common.files import canonical_sha256, flatten
from foldwise.experiment.comparison.baselines import baseline_maes
from foldwise.experiment.comparison.compare import decision_block
from foldwise.experiment.comparison.fallback import fallback_block, fallback_rows
from foldwise.experiment.comparison.leakage import leakage_block
from foldwise.experiment.comparison.paired import interval_entry
from foldwise.experiment.inputs.combined import combination_block
from foldwise.experiment.inputs.intervals import is_classification
from foldwise.experiment.inputs.rows import TestRows, replicate_predictions
from foldwise.experiment.inputs.schema import SCHEMA_VERSION
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.experiment.record.fits import compute_block, fit_block, transform_block
from foldwise.experiment.record.intervals import intervals_block
from foldwise.experiment.record.matbench_files import matbench_block
from foldwise.experiment.record.mixed import mixed_block
from foldwise.experiment.record.outside import outside_block
from foldwise.experiment.record.provenance import provenance_block
from foldwise.statistics.classification import class_metrics
from foldwise.statistics.intervals import absolute_errors, mae_interval
from foldwise.statistics.metrics import (
    aggregate_folds,
    disagreement_stats,
    fold_metrics,
    mae_by_target_quantile,
)
from foldwise.study.recipe import OPTIMISER, SCHEDULER


def build_record(inputs: ExperimentInputs, rows: TestRows, command: str | None = None) -> Json:
    """The whole record, not yet checked by its schema.

    Args:
        inputs: The experiment's inputs.
        rows: Its test rows.
        command: The command that makes the experiment again, if known.
    """
    compute, matbench = compute_block(inputs), matbench_block(inputs, rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "config_id": config_id(inputs),
        "experiment": inputs.experiment,
        "title": inputs.config["title"],
        "task": inputs.task,
        "unit": inputs.unit,
        "seed": inputs.seeds[0] if inputs.seeds else None,
        "seeds": inputs.seeds,
        "recipe": inputs.config["recipe_name"],
        "hyperparams": _hyperparams(inputs),
        "target_transform": transform_block(inputs),
        "fit": fit_block(inputs),
        "combination": combination_block(inputs.combined),
        "metrics": metrics_block(inputs, rows),
        "error_slices": _error_slices(rows),
        "ensemble": _ensemble_block(inputs, rows),
        "prediction_intervals": intervals_block(inputs, rows),
        "compute": compute,
        "matbench": matbench,
        "leakage": leakage_block(inputs),
        "decision": decision_block(inputs, rows, compute, complete=matbench["written"]),
        "provenance": provenance_block(inputs, command),
        **_without_none({"mixed": mixed_block(inputs, rows), "outside": outside_block(inputs)}),
    }


def _without_none(blocks: Json) -> Json:
    return {name: block for name, block in blocks.items() if block is not None}


def config_id(inputs: ExperimentInputs) -> str:
    """The experiment's name and a hash of its config and of the dataset's bytes."""
    identity = {"config": inputs.config, "dataset": inputs.card["source_sha256"]}
    return f"{inputs.experiment}_{canonical_sha256(identity)[:8]}"


def metrics_block(inputs: ExperimentInputs, rows: TestRows) -> Json:
    """The `metrics` block: per fold, over folds, over all rows at once, and two simple models.

    These are about the rows that were predicted, `fallback` about the others as well. They are the
    first replicate's; `replicates` and `over_replicates` are about all of them.
    """
    folds = []
    for fold in sorted(inputs.splits):
        table = rows.fold(fold)
        numbers = fold_metrics(table["target"].to_numpy(), table["prediction"].to_numpy())
        folds.append({"fold": fold, **numbers})
    # What a rule of several recipes makes of probabilities need not be one.
    classes = is_classification(inputs) and rows.table["prediction"].between(0.0, 1.0).all()
    interval = mae_interval(
        rows.table["target"].to_numpy(),
        rows.table["prediction"].to_numpy(),
        rows.table["formula"].to_numpy(),
    )
    return {
        "folds": folds,
        "aggregate": aggregate_folds(folds),
        "pooled": {"mae": interval.estimate, **interval_entry(interval)},
        "baselines": baseline_maes(inputs, rows),
        "fallback": fallback_block(inputs, rows, fallback_rows(inputs)),
        "replicates": _replicate_maes(inputs, rows),
        "over_replicates": _over_replicates(inputs, rows),
        **({"classification": _classification(inputs, rows)} if classes else {}),
    }


def _classification(inputs: ExperimentInputs, rows: TestRows) -> Json:
    """Ranking and calibration of the probabilities of class 1, the predictions of such a task."""
    tables = [(fold, rows.fold(fold)) for fold in sorted(inputs.splits)]
    return class_metrics(
        [
            (fold, table["target"].to_numpy(), table["prediction"].to_numpy())
            for fold, table in tables
        ]
    )


def _replicate_maes(inputs: ExperimentInputs, rows: TestRows) -> list[float]:
    """Mean over folds of the MAE of each replicate, as `aggregate.mae_mean` is of the first."""
    folds = [rows.fold(fold) for fold in sorted(inputs.splits)]
    errors = [
        absolute_errors(table["target"].to_numpy(), replicate_predictions(table)).mean(axis=0)
        for table in folds
    ]
    return [float(mae) for mae in np.mean(errors, axis=0)]


def _over_replicates(inputs: ExperimentInputs, rows: TestRows) -> Json | None:
    """Mean and spread of the replicates; `None` where the experiment was made once."""
    if len(inputs.replicate_seeds) == 1:
        return None
    maes = _replicate_maes(inputs, rows)
    interval = mae_interval(
        rows.table["target"].to_numpy(),
        replicate_predictions(rows.table),
        rows.table["formula"].to_numpy(),
    )
    return {
        "seeds": inputs.replicate_seeds,
        "mae_mean": mean(maes),
        "mae_sd": stdev(maes),
        "mae": interval.estimate,
        **interval_entry(interval),
    }


def _hyperparams(inputs: ExperimentInputs) -> Json:
    """The recipe in one level, with what the training loop adds to it."""
    plain = {**flatten(inputs.recipe), "tta": inputs.config["tta"]}
    if inputs.mixture is not None:
        plain["members"] = [str(label) for label in inputs.labels]
    if not inputs.has_networks or inputs.mixture is not None:
        return plain
    fit = inputs.models[0].fit
    loop = {"optimiser": OPTIMISER, "scheduler": SCHEDULER, "precision": fit["precision"]}
    return {**flatten(fit["hyperparams"]), **loop, **plain}


def _error_slices(rows: TestRows) -> Json:
    target = rows.table["target"].to_numpy()
    return {
        "mae_by_target_quantile": mae_by_target_quantile(
            target, rows.table["prediction"].to_numpy()
        ),
        "target_quantile_edges": [float(edge) for edge in rows.edges],
    }


def _ensemble_block(inputs: ExperimentInputs, rows: TestRows) -> Json | None:
    """Disagreement of the members and what their mean gained; `None` for a single model."""
    if len(inputs.labels) == 1 and inputs.mixture is None:
        return None
    target = rows.table["target"].to_numpy()
    members: list[dict[str, Any]] = []
    for label in inputs.labels:
        error = np.abs(rows.members[label].to_numpy() - target)
        by_fold = [float(error[rows.table["fold"] == fold].mean()) for fold in inputs.splits]
        who = {"seed": label} if isinstance(label, int) else {"name": label}
        members.append({**who, "mae_mean": mean(by_fold), "mae": float(error.mean())})
    average = mean(member["mae"] for member in members)
    return {
        "size": len(inputs.labels),
        **disagreement_stats(rows.table["std"].to_numpy(), rows.table["abs_error"].to_numpy()),
        "members": members,
        "member_mae_mean": average,
        "gain_over_members": average - float(rows.table["abs_error"].mean()),
    }
