"""The model card: what a model is, what it was trained on, how good it is and what it cannot do."""

from __future__ import annotations

from foldwise.common.templates import fill_template
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.prediction.exported.writing import Export
from foldwise.statistics.wording import plural, value_text

CHGNET_LICENCE = (
    "CHGNet 0.3.0, from whose weights training started: modified BSD-3-Clause, The Regents of the "
    "University of California, through Lawrence Berkeley National Laboratory"
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
