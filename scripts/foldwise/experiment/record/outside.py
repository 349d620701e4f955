"""The `outside` block of `results.json`: what models from outside cost and said."""

from __future__ import annotations

from foldwise.experiment.inputs.types import ExperimentInputs, Json, Model
from foldwise.study.kinds import NETWORK
from foldwise.study.outside.own_predictions import PREDICTIONS


def made_elsewhere(record: Json) -> list[str]:
    """Recipes of a `results.json` whose answers were made elsewhere: nobody here made a model."""
    models = (record.get("outside") or {"models": []})["models"]
    return list(dict.fromkeys(one["recipe"] for one in models if one["kind"] == PREDICTIONS))


def outside_block(inputs: ExperimentInputs) -> Json | None:
    """Cost, log and packages of models from outside; `None` without one."""
    models = [model for model in inputs.models if model.fit.get("kind", NETWORK) != NETWORK]
    if not models:
        return None
    packages = {model.recipe: dict(model.fit.get("packages") or {}) for model in models}
    return {"models": [_line(inputs, model) for model in models], "packages": packages}


def _line(inputs: ExperimentInputs, model: Model) -> Json:
    fit = model.fit
    place = f"models/{model.recipe}/{inputs.task}/fold_{model.fold}/seed_{model.seed}"
    return {
        "recipe": model.recipe,
        "kind": fit["kind"],
        "fold": model.fold,
        "seed": model.seed,
        "n_train": fit["n_train"],
        "n_validation": fit["n_validation"],
        "val_mae": fit["val_mae_at_best"],
        "wall_time_sec": fit["wall_time_sec"],
        "cpu_time_sec": fit["cpu_time_sec"],
        "peak_memory_bytes": fit["peak_memory_bytes"],
        "device": fit["device"],
        "said": fit.get("said") or fit.get("text") or {},
        "log": f"{place}/program.log" if fit["kind"] == "program" else None,
    }
