"""Read and check the input files of an experiment; mistakes name the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.combined import read_combined
from foldwise.experiment.inputs.mixed import read_mixture
from foldwise.experiment.inputs.raw_outputs import read_raw_outputs
from foldwise.experiment.inputs.readers import (
    check_complete,
    check_ids,
    indexed,
    read_object,
    read_table,
)
from foldwise.experiment.inputs.schema import read_record
from foldwise.experiment.inputs.types import (
    GROUP_SOURCES,
    ExperimentInputs,
    InputPaths,
    Json,
    Model,
    Parent,
    Paths,
    Split,
)

CONFIG_KEYS = (
    "experiment", "title", "purpose", "task", "recipe_name", "recipe", "seeds", "tta", "folds",
    "report",
)  # fmt: skip
CARD_KEYS = (
    "task", "source", "source_sha256", "licence", "target_name", "unit", "n_source", "n_accepted",
)  # fmt: skip
SPLIT_KEYS = ("task", "fold", "n_folds", "protocol", "official", "train", "test")
FIT_KEYS = (
    "recipe", "task", "fold", "seed", "best_epoch", "epochs_run", "epochs_max", "passes",
    "early_stopped", "patience", "train_mae_at_best", "val_mae_at_best", "val_mae_last5", "n_train",
    "n_validation", "n_soft_targets", "target_transform", "num_params", "device", "gpu_name",
    "precision", "threads", "wall_time_sec", "sec_per_epoch", "peak_memory_bytes", "hyperparams",
)  # fmt: skip
TIMING_KEYS = ("structures", "seconds", "structures_per_s", "device", "threads", "views")
TARGET_COLUMNS = ("id", "formula", "n_atoms", "spacegroup", "target", *GROUP_SOURCES)
HISTORY_COLUMNS = ("epoch", "train_mae", "val_mae")
FAILURE_COLUMNS = ("id", "stage", "reason", "detail")
PARENT_COLUMNS = ("id", "fold", "target", "prediction")


def load_inputs(paths: InputPaths, experiment: str, star_comparisons: int = 1) -> ExperimentInputs:
    """Read all files of an experiment and check that they belong together.

    Args:
        paths: Where the files are.
        experiment: Name of the experiment, as in the config.
        star_comparisons: Comparisons of the study that can have a star.

    Raises:
        FoldwiseError: A file is missing or damaged, lacks a key, or contradicts another file.
    """
    config = _read_config(paths.config, experiment)
    card = read_object(paths.card, CARD_KEYS)
    targets = _read_targets(paths.targets)
    files = [path for path in (paths.dataset_failures, paths.graph_failures) if path is not None]
    failures = pd.concat([_read_failures(path) for path in files], ignore_index=True)
    splits = _read_splits(paths.splits, config, targets)
    left_out = set(failures["id"])
    expected = {fold: set(split.test) - left_out for fold, split in splits.items()}
    combined = read_combined(
        paths.submissions, paths.submission_predictions, paths.combinations, config, expected
    )
    models, repeated = _read_models(paths, config, expected)
    return ExperimentInputs(
        experiment=experiment,
        config=config,
        card=card,
        targets=targets,
        failures=failures,
        duplicates=read_object(paths.duplicates, ("all_folds",)),
        splits=splits,
        models=models,
        repeated=repeated,
        ensembles=_read_ensembles(paths.ensembles, list(expected.values()), list(splits)),
        parents=[
            _read_parent(folder, config["task"], expected, targets["target"])
            for folder in paths.compare
        ],
        combined=combined,
        mixture=read_mixture(paths.mixed, expected),
        raw_outputs=read_raw_outputs(paths.raw_outputs),
        star_comparisons=star_comparisons,
    )


def _read_config(path: str | Path, experiment: str) -> Json:
    config = read_object(path, CONFIG_KEYS)
    if "worst_n" not in config["report"]:
        raise FoldwiseError("key 'report.worst_n' is missing", where=str(path), hint="Add it.")
    if config["experiment"] != experiment:
        raise FoldwiseError(
            f"it describes {config['experiment']!r}, not {experiment!r}",
            where=str(path),
            hint="Give --experiment and --config of one experiment.",
        )
    return config


def _read_failures(path: str | Path) -> pd.DataFrame:
    table = read_table(path, FAILURE_COLUMNS, dtype=str, keep_default_na=False)
    return table[list(FAILURE_COLUMNS)]


def _read_targets(path: str | Path) -> pd.DataFrame:
    table = read_parquet(path, TARGET_COLUMNS)
    return indexed(table[list(TARGET_COLUMNS)], "target", path)


def _read_splits(paths: Paths, config: Json, targets: pd.DataFrame) -> dict[int, Split]:
    splits: dict[int, Split] = {}
    for path in paths:
        value = read_object(path, SPLIT_KEYS)
        split = Split(
            fold=int(value["fold"]),
            train=list(value["train"]),
            test=list(value["test"]),
            n_folds=int(value["n_folds"]),
            protocol=str(value["protocol"]),
            official=bool(value["official"]),
        )
        unknown = (set(split.train) | set(split.test)) - set(targets.index)
        problem = None
        if value["task"] != config["task"]:
            problem = f"it splits task {value['task']!r}, not {config['task']!r}"
        elif not split.train or not split.test:
            problem = f"fold {split.fold} has no training or no test rows"
        elif unknown:
            problem = f"id {min(unknown)!r} is not in the dataset"
        elif set(split.train) & set(split.test):
            problem = f"id {min(set(split.train) & set(split.test))!r} is in train and in test"
        if problem:
            raise FoldwiseError(problem, where=str(path), hint="Make the splits again.")
        splits[split.fold] = split
    check_complete(sorted(splits), sorted(config["folds"]), "--splits", "folds")
    return splits


def _read_models(
    paths: InputPaths, config: Json, expected: Mapping[int, set[str]]
) -> tuple[list[Model], list[list[Model]]]:
    """Models of the first replicate, and those of each further one."""
    lists = (paths.fits, paths.histories, paths.predictions, paths.timings)
    optional = (paths.held_out, paths.checkpoints, paths.calibrations)
    absent: list[str | Path | None] = [None] * len(paths.fits)
    filled = [list(files) or absent for files in optional]
    if len({len(entry) for entry in (*lists, *filled)}) != 1:
        raise FoldwiseError(
            f"the lists hold {', '.join(str(len(entry)) for entry in lists)} files",
            where="--fits, --histories, --predictions, --timings",
            hint="Give one file of each kind per trained model, in one order.",
        )
    kept = [not read_object(path, ()).get("failed") for path in paths.fits]
    if not paths.mixed and not all(kept):
        failed = read_object(paths.fits[kept.index(False)], ("failed", "recipe", "fold", "seed"))
        raise FoldwiseError(
            f"fold {failed['fold']}, seed {failed['seed']}: {failed['failed']}",
            where=f"recipes.{failed['recipe']}",
            hint="An ensemble of several recipes goes on without it; its own experiment cannot.",
        )
    models = [
        _with_answers(_read_model(*files, config=config, expected=expected), *further)
        for files, further, there in zip(
            zip(*lists, strict=True), zip(*filled, strict=True), kept, strict=True
        )
        if there
    ]
    if paths.mixed:
        return _mixed_models(models, config), []
    models.sort(key=lambda model: (model.fold, model.seed))
    replicates = config.get("replicates", [config["seeds"]])
    seeds = [seed for replicate in replicates for seed in replicate]
    wanted = sorted((fold, seed) for fold in config["folds"] for seed in seeds)
    found = [(model.fold, model.seed) for model in models]
    check_complete(found, wanted, "--fits", "(fold, seed)")
    first, *further = (
        [model for model in models if model.seed in replicate] for replicate in replicates
    )
    return first, further


def _mixed_models(models: list[Model], config: Json) -> list[Model]:
    """Models of several recipes in the config's order; of a member that failed on a fold, none."""
    folds = len(config["folds"])
    wanted = [
        (part["recipe"], seed) for part in config["recipe"]["members"] for seed in part["seeds"]
    ]
    found = {(model.recipe, model.seed, model.fold): model for model in models}
    if len(found) != len(models) or {key[:2] for key in found} - set(wanted):
        raise FoldwiseError(
            "the models are not those that the config names",
            where="--fits",
            hint="Give one file of each kind per member and fold.",
        )
    present = [member for member in wanted if sum(key[:2] == member for key in found) == folds]
    return [found[(*member, fold)] for fold in sorted(config["folds"]) for member in present]


def _read_model(
    fit_path: str | Path,
    history_path: str | Path,
    prediction_path: str | Path,
    timing_path: str | Path,
    *,
    config: Json,
    expected: Mapping[int, set[str]],
) -> Model:
    fit = read_object(fit_path, FIT_KEYS)
    mixed = "members" in config["recipe"]
    for key, wanted in (("task", config["task"]), ("recipe", config["recipe_name"])):
        if fit[key] != wanted and not (mixed and key == "recipe"):
            raise FoldwiseError(
                f"{key} is {fit[key]!r}, the config asks for {wanted!r}",
                where=str(fit_path),
                hint="Give the fits of this experiment.",
            )
    if fit["fold"] not in expected:
        raise FoldwiseError(
            f"fold {fit['fold']} has no split file",
            where=str(fit_path),
            hint="Give its split with --splits.",
        )
    table = read_parquet(prediction_path, ("id", "prediction"))
    rows = indexed(table, "prediction", prediction_path)
    check_ids(rows.index, expected[fit["fold"]], fit["fold"], prediction_path)
    return Model(
        fold=int(fit["fold"]),
        seed=int(fit["seed"]),
        fit=fit,
        history=read_table(history_path, HISTORY_COLUMNS),
        predictions=rows["prediction"].astype(np.float64),
        timing=read_object(timing_path, TIMING_KEYS),
    )


def _with_answers(
    model: Model,
    held_out: str | Path | None,
    checkpoint: str | Path | None,
    calibration: str | Path | None,
) -> Model:
    """The model with what intervals and an exported model are made from, where it was given."""
    return replace(
        model,
        held_out=None if held_out is None else _read_held_out(held_out),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        view_bias=float(read_object(calibration, ("bias",))["bias"]) if calibration else 0.0,
    )


def _read_held_out(path: str | Path) -> pd.Series[float]:
    """What a model predicts for the rows that it held out; the other rows of the file are not."""
    table = read_parquet(path, ("id", "prediction", "held_out"))
    rows = indexed(table[table["held_out"].astype(bool)], "prediction", path)
    return rows["prediction"].astype(np.float64)


def _read_ensembles(
    paths: Paths, expected: list[set[str]], folds: list[int]
) -> dict[int, pd.DataFrame]:
    if not paths:
        return {}
    if len(paths) != len(folds):
        raise FoldwiseError(
            f"{len(paths)} files for {len(folds)} folds",
            where="--ensembles",
            hint="Give one file per fold, in the order of --splits.",
        )
    ensembles: dict[int, pd.DataFrame] = {}
    for path, ids, fold in zip(paths, expected, folds, strict=True):
        table = indexed(read_parquet(path, ("id", "mean", "std", "n")), "mean", path)
        check_ids(table.index, ids, fold, path)
        ensembles[fold] = table
    return ensembles


def _read_parent(
    folder: str | Path, task: str, expected: Mapping[int, set[str]], targets: pd.Series[float]
) -> Parent:
    record_path, rows_path = Path(folder) / "results.json", Path(folder) / "predictions.parquet"
    record = read_record(record_path)
    rows = indexed(read_parquet(rows_path, PARENT_COLUMNS), "prediction", rows_path)
    if record["task"] != task:
        raise FoldwiseError(
            f"its task is {record['task']!r}, not {task!r}",
            where=str(record_path),
            hint="Compare experiments of one task.",
        )
    for fold, ids in expected.items():
        check_ids(rows.index[rows["fold"] == fold], ids, fold, rows_path)
    moved = rows.index[rows["target"].to_numpy() != targets.reindex(rows.index).to_numpy()]
    if len(moved):
        raise FoldwiseError(
            f"{len(moved)} target(s) differ from the dataset's, the first for id {moved[0]!r}",
            where=str(rows_path),
            hint="Make that experiment again.",
        )
    return Parent(experiment=str(record["experiment"]), record=record, rows=rows)
