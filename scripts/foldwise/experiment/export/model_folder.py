"""`model/` of an experiment: the models of its first fold, and a card that says what they are.

One fold's models, because what was measured on that fold's test crystals was measured on exactly
these weights, and a student stays one network.
"""

from __future__ import annotations

from pathlib import Path

from foldwise.common.templates import fill_template
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json, Model
from foldwise.prediction.exported.contents import ExportedViews
from foldwise.prediction.exported.domain import Domain, far_distance
from foldwise.prediction.exported.writing import Export, write_card, write_model
from foldwise.statistics.wording import plural, value_text

CHGNET_LICENCE = (
    "CHGNet 0.3.0, from whose weights training started: modified BSD-3-Clause, The Regents of the "
    "University of California, through Lawrence Berkeley National Laboratory"
)


def write_model_folder(
    folder: Path, inputs: ExperimentInputs, rows: TestRows, record: Json
) -> None:
    """Write `model/`; nothing where the experiment has no checkpoints.

    Args:
        folder: The new folder.
        inputs: The experiment's inputs.
        rows: Its test rows.
        record: What will be `results.json`.
    """
    fold = min(inputs.splits)
    members = [model for model in inputs.models if model.fold == fold]
    checkpoints = {
        model.seed: model.checkpoint for model in members if model.checkpoint is not None
    }
    if not members or len(checkpoints) < len(members):
        return
    export = Export(
        facts=_facts(inputs, record),
        fold=fold,
        checkpoints=checkpoints,
        intervals=rows.intervals.get(fold),
        domain=_domain(inputs, fold, members[0]),
        views=_views(inputs, members),
    )
    reason = write_model(folder, export)
    write_card(folder, card_text(inputs, record, export, reason))


def _facts(inputs: ExperimentInputs, record: Json) -> Json:
    return {
        "experiment": inputs.experiment,
        "config_id": record["config_id"],
        "title": record["title"],
        "task": inputs.task,
        "target_name": inputs.card["target_name"],
        "unit": inputs.unit,
        "intensive": bool(inputs.card.get("intensive", True)),
    }


def _views(inputs: ExperimentInputs, members: list[Model]) -> ExportedViews | None:
    views = inputs.config.get("views")
    if int(inputs.config["tta"]) == 1 or not views:
        return None
    return ExportedViews(
        int(inputs.config["tta"]),
        float(views["displacement"]),
        float(views["strain"]),
        tuple(model.view_bias for model in members),
    )


def _domain(inputs: ExperimentInputs, fold: int, first: Model) -> Domain:
    """Training crystals of the fold; how far is far, from what the first member held out."""
    train = inputs.targets.loc[inputs.splits[fold].train]
    formulas = train["formula"].astype(str)
    held = set() if first.held_out is None else set(first.held_out.index)
    fitted = formulas[~train.index.isin(held)]
    unseen = formulas[train.index.isin(held)]
    return Domain(
        formulas=tuple(sorted(set(formulas))),
        min_atoms=int(train["n_atoms"].min()),
        max_atoms=int(train["n_atoms"].max()),
        far=far_distance(list(unseen), list(fitted)) if len(unseen) and len(fitted) else 0.0,
    )


def card_text(inputs: ExperimentInputs, record: Json, export: Export, reason: str | None) -> str:
    """Text of `model/README.md`.

    Args:
        inputs: The experiment's inputs.
        record: What will be `results.json`.
        export: What stands in the folder.
        reason: Why the chgnet package cannot load the models; `None` where it can.
    """
    fold = next(entry for entry in record["metrics"]["folds"] if entry["fold"] == export.fold)
    intervals = record["prediction_intervals"]
    covered = intervals and next(
        entry for entry in intervals["folds"] if entry["fold"] == export.fold
    )
    return fill_template(
        "model_card.md.j2",
        {
            "name": inputs.name,
            "folder": "/".join(
                part for part in ("results", inputs.config.get("run"), inputs.experiment) if part
            ),
            "record": record,
            "card": inputs.card,
            "unit": inputs.unit,
            "quantity": str(inputs.card["target_name"]).replace("_", " "),
            "fold": fold,
            "n_folds": next(iter(inputs.splits.values())).n_folds,
            "n_train": len(inputs.splits[export.fold].train),
            "protocol": inputs.splits[export.fold].protocol,
            "covered": covered,
            "intervals": intervals,
            "domain": export.domain,
            "n_elements": len(export.domain.elements),
            "seeds": list(export.checkpoints),
            "views": export.views,
            "not_for_chgnet": reason,
            "chgnet_licence": CHGNET_LICENCE if record["leakage"]["pretrained"] else None,
        },
        {"value": value_text, "plural": plural},
    )
