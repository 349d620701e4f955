"""How the models were trained and what that cost: one summary over all folds and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median, median_low

from foldwise.experiment.inputs.combined import combined_compute_block
from foldwise.experiment.inputs.types import ExperimentInputs, Json, Model
from foldwise.network.transform import RIDGE
from foldwise.prediction.outside import TRANSFORM as UNKNOWN_PRECISION

LAST_EPOCHS = 5


def fit_block(inputs: ExperimentInputs) -> Json | None:
    """The `fit` block of `results.json`: over all fits, and one short line per fit.

    `best_epoch` is the median over fits (the lower one of two), `early_stopped` says whether any
    fit stopped early, errors are means over fits, and `val_mae_last5` is the mean validation MAE of
    the last five epochs, first to last. `None` where no network of this project was trained.
    """
    if not inputs.has_networks or inputs.mixture is not None:
        return None
    fits = [model.fit for model in inputs.models]
    train = mean(float(fit["train_mae_at_best"]) for fit in fits)
    validation = mean(float(fit["val_mae_at_best"]) for fit in fits)
    return {
        "n_fits": len(fits),
        "best_epoch": median_low(int(fit["best_epoch"]) for fit in fits),
        "early_stopped": any(fit["early_stopped"] for fit in fits),
        "n_early_stopped": sum(bool(fit["early_stopped"]) for fit in fits),
        "patience": fits[0]["patience"],
        "train_mae_at_best": train,
        "val_mae_at_best": validation,
        "generalization_gap_mae": validation - train,
        "val_mae_last5": _mean_of_last([list(fit["val_mae_last5"]) for fit in fits]),
        "fits": [_fit_line(model) for model in inputs.models],
    }


def _mean_of_last(curves: list[list[float]]) -> list[float]:
    length = min(LAST_EPOCHS, *(len(curve) for curve in curves))
    aligned = [curve[len(curve) - length :] for curve in curves]
    return [mean(values) for values in zip(*aligned, strict=True)]


def _fit_line(model: Model) -> Json:
    fit = model.fit
    return {
        "fold": model.fold,
        "seed": model.seed,
        "n_train": fit["n_train"],
        "n_validation": fit["n_validation"],
        "best_epoch": fit["best_epoch"],
        "epochs_run": fit["epochs_run"],
        "early_stopped": fit["early_stopped"],
        "train_mae_at_best": fit["train_mae_at_best"],
        "val_mae_at_best": fit["val_mae_at_best"],
        "wall_time_sec": fit["wall_time_sec"],
    }


def transform_block(inputs: ExperimentInputs) -> Json:
    """The `target_transform` block: its name, and mean and spread averaged over fits.

    Where training rows chose it, `reason` is the first fit's; fits that chose differently are all
    named.
    """
    if not inputs.models or inputs.mixture is not None:
        return {"name": "none", "train_mean": None, "train_std": None, "ridge": None}
    transforms = [dict(model.fit["target_transform"]) for model in inputs.models]
    block: Json = {"name": ", ".join(dict.fromkeys(one["name"] for one in transforms))}
    if transforms[0].get("reason"):
        block["reason"] = transforms[0]["reason"]
    for key in ("train_mean", "train_std", "ridge"):
        values = [transform.get(key) for transform in transforms]
        if key == "ridge" and block["name"] == "element_reference":
            values = [RIDGE]
        numbers = [float(value) for value in values if value is not None]
        block[key] = mean(numbers) if numbers else None
    return block


def _is_mixed(precision: str) -> bool | None:
    """Whether products are shorter than what they are added to; `None` where nobody knows."""
    if precision == UNKNOWN_PRECISION:
        return None
    return precision not in {"float32", "fp32", "float64", "tf32"}


def compute_block(inputs: ExperimentInputs) -> Json:
    """The `compute` block: hardware, training time summed over fits, and the cost of predicting."""
    if inputs.combined is not None:
        return combined_compute_block(inputs.combined)
    fits = [model.fit for model in inputs.models]
    first = fits[0]
    predicting = sum(float(model.timing["seconds"]) for model in inputs.models)
    training = sum(float(fit["wall_time_sec"]) for fit in fits)
    return {
        "device": first["device"],
        "gpu_name": first["gpu_name"],
        "precision": first["precision"],
        "mixed_precision": _is_mixed(str(first["precision"])),
        "threads": first["threads"],
        "wall_time_sec": training + predicting,
        "sec_per_epoch": _median([fit["sec_per_epoch"] for fit in fits]),
        "num_params": None if inputs.mixture is not None else first["num_params"],
        "peak_memory_bytes": max(
            (int(fit["peak_memory_bytes"]) for fit in fits if fit["peak_memory_bytes"] is not None),
            default=None,
        ),
        "training_passes": sum(
            int(fit["passes"]) + int(fit.get("pretraining_passes", 0)) for fit in fits
        ),
        "wall_time_with_teachers_sec": _with_teachers(inputs, training + predicting),
        "inference": _inference_block(inputs, predicting),
    }


def _median(values: Sequence[float | None]) -> float | None:
    """Median of what is known; `None` where nothing is."""
    known = [float(value) for value in values if value is not None]
    return median(known) if known else None


def _inference_block(inputs: ExperimentInputs, seconds: float) -> Json:
    """What one prediction costs: all members answer every row, each `views` times."""
    members = len(inputs.labels)
    timing, size = inputs.models[0].timing, inputs.models[0].fit["num_params"]
    rows = sum(len(model.predictions) for model in inputs.models) // members
    return {
        "members": members,
        "views": int(timing["views"]),
        "passes_per_prediction": members * int(timing["views"]),
        "parameters": None if inputs.mixture is not None or size is None else members * int(size),
        "structures_per_s": rows / seconds if seconds > 0 and _all_timed(inputs) else None,
        "seconds": seconds,
        "device": timing["device"],
        "threads": timing["threads"],
    }


def _all_timed(inputs: ExperimentInputs) -> bool:
    """Whether every model says how long its answers took; a program's time is not divided."""
    return all(float(model.timing["seconds"]) > 0 for model in inputs.models)


def _with_teachers(inputs: ExperimentInputs, own: float) -> float | None:
    """Own time plus that of the teachers; `None` without teachers or where theirs is not known."""
    teacher = inputs.recipe.get("teacher")
    if not teacher:
        return None
    for parent in inputs.parents:
        if parent.experiment == teacher["ensemble"]:
            return own + float(parent.record["compute"]["wall_time_sec"])
    return None
