"""Write the model folder of an experiment, whose layout stands in `contents`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import REPOSITORY, atomic_path, write_csv, write_json, write_text
from foldwise.network.checkpoint import load_model
from foldwise.prediction.exported.contents import (
    CALIBRATION,
    CARD,
    COMPOSITIONS,
    CONFIG,
    FORMAT,
    SCRIPT,
    STOCK,
    ExportedViews,
)
from foldwise.prediction.exported.domain import Domain
from foldwise.prediction.exported.stock import stock_reason, write_stock
from foldwise.statistics.answer_intervals import CONFIDENCE, AnswerIntervals

_SCRIPT = REPOSITORY / "reports" / "model_predict.py"


@dataclass(frozen=True)
class Export:
    """What goes into a model folder.

    Attributes:
        facts: Experiment, task, target, unit, `intensive`, licence and the like, for `config.json`.
        fold: Fold whose models these are.
        checkpoints: `model.safetensors` of each member by seed.
        intervals: How the fold's intervals are made; `None` where there are none.
        domain: What the models were trained on.
        views: Views that they are asked about; `None` for the crystals themselves.
    """

    facts: dict[str, Any]
    fold: int
    checkpoints: dict[int, Path]
    intervals: AnswerIntervals | None
    domain: Domain
    views: ExportedViews | None

    def member_file(self, seed: int) -> str:
        """Name of a member's weights."""
        return f"fold_{self.fold}_seed_{seed}.safetensors"


def write_model(folder: Path, export: Export) -> str | None:
    """Write everything but the card.

    Returns:
        Why the chgnet package cannot load the model; `None` where it can.

    Raises:
        FoldwiseError: A checkpoint is missing or broken.
    """
    models = {seed: load_model(path) for seed, path in export.checkpoints.items()}
    for seed, path in export.checkpoints.items():
        with atomic_path(folder / export.member_file(seed)) as copied:
            shutil.copyfile(path, copied)
    reason = "it answers from several views of a crystal" if export.views else None
    intensive = bool(export.facts["intensive"])
    reason = reason or next(
        (why for model in models.values() if (why := stock_reason(model, intensive=intensive))),
        None,
    )
    stock = {}
    if reason is None:
        for seed, model in models.items():
            stock[seed] = f"{STOCK}/fold_{export.fold}_seed_{seed}.safetensors"
            write_stock(folder / stock[seed], model)
        write_text(folder / SCRIPT, _SCRIPT.read_text(encoding="utf-8"))
    members = [
        {"seed": seed, "file": export.member_file(seed), "chgnet": stock.get(seed)}
        for seed in models
    ]
    write_csv(folder / COMPOSITIONS, pd.DataFrame({"formula": export.domain.formulas}))
    _write_scores(folder / CALIBRATION, export.intervals)
    first = next(iter(models.values()))
    config = {
        "format": FORMAT,
        **export.facts,
        "fold": export.fold,
        "architecture": {"name": first.model_name, **asdict(first.network.spec)},
        "target_transform": first.transform.name,
        "members": members,
        "not_for_chgnet": reason,
        "interval": _interval_facts(export.intervals),
        "views": None if export.views is None else asdict(export.views),
        "training": {
            "n_compositions": len(export.domain.formulas),
            "min_atoms": export.domain.min_atoms,
            "max_atoms": export.domain.max_atoms,
            "elements": sorted(export.domain.elements),
            "composition_distance_far": export.domain.far,
        },
    }
    write_json(folder / CONFIG, config)
    return reason


def write_card(folder: Path, text: str) -> None:
    """Write the model card."""
    write_text(folder / CARD, text)


def _interval_facts(intervals: AnswerIntervals | None) -> dict[str, Any] | None:
    if intervals is None:
        return None
    return {
        "confidence": CONFIDENCE,
        "kind": intervals.kind,
        "floor": intervals.floor,
        "n_scores": [len(scores) for scores in intervals.conformal.scores],
    }


def _write_scores(path: Path, intervals: AnswerIntervals | None) -> None:
    scores: Sequence[Any] = () if intervals is None else intervals.conformal.scores
    table = pd.DataFrame(
        {
            "member": np.repeat(np.arange(len(scores)), [len(part) for part in scores]),
            "score": np.concatenate([*scores]) if len(scores) else [],
        }
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.17g")
