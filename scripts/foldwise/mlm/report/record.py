"""`results.json` of a checkpoint: settings, metrics, samples and provenance."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd

from foldwise.common.files import canonical_sha256
from foldwise.common.schemas import SCHEMAS, check_record

if TYPE_CHECKING:  # a summary of results needs no model library, and no seconds to import it
    from foldwise.mlm.evaluation.job import Evaluation

SCHEMA = SCHEMAS / "mlm_results.schema.json"
SCHEMA_VERSION = 3
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas")


@dataclass(frozen=True)
class ReportSettings:
    """Depth of a result folder.

    Attributes:
        resamples: Bootstrap resamples of each interval.
        worst_n: Samples of each group that get a text file.
        command: The command that makes the folder again.
        matching: `exact` or `reference`: whose rates have the short names.
    """

    resamples: int = 10_000
    worst_n: int = 5
    command: str = ""
    matching: str = "exact"


def build_record(
    evaluation: Evaluation,
    table: pd.DataFrame,
    metrics: dict[str, Any],
    settings: ReportSettings,
) -> dict[str, Any]:
    """The record. It holds no time and no duration, so equal inputs give equal bytes.

    Args:
        evaluation: The evaluation.
        table: Its samples.
        metrics: Its metrics.
        settings: Depth of the report, and the command that makes it again.
    """
    hyperparams = {
        "checkpoint": evaluation.checkpoint,
        "seq_len": evaluation.seq_len,
        "precision": evaluation.precision,
        "samples": evaluation.frozen.name,
        "partial": evaluation.partial,
        "resamples": settings.resamples,
        "matching": settings.matching,
    }
    card = evaluation.frozen.card
    return {
        "schema_version": SCHEMA_VERSION,
        "config_id": f"{evaluation.frozen.name}_"
        f"{canonical_sha256([hyperparams, evaluation.key])[:8]}",
        "task": "masked_lm",
        "hyperparams": hyperparams,
        "metrics": metrics,
        "counts": {
            "samples": len(table),
            "samples_in_set": len(evaluation.frozen.samples),
            "texts": int(table["text_id"].nunique()),
            "lambada": len(evaluation.blanks),
            "masked_as_tokens": int((table["masking"] == "tokens").sum()),
            "asked_for_the_reference": (
                len(evaluation.questions) - len(evaluation.samples) - len(evaluation.blanks)
            ),
            "lost_mentions": int(table["lost_mention"].sum()),
            "cut_texts": int(table["cut"].sum()),
        },
        "model": {
            "identity": evaluation.identity,
            "parameters": evaluation.parameters,
            "vocabulary": len(evaluation.surfaces.text),
            "notes": list(evaluation.notes),
        },
        "data": {
            "samples_sha256": evaluation.frozen.sha256,
            "lambada_sha256": evaluation.lambada.sha256 if evaluation.lambada else None,
            "tagger": card["tagger"],
            "origin": card["origin"],
        },
        "provenance": {
            "command": settings.command,
            "cache_key": evaluation.key,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "packages": {name: version(name) for name in PACKAGES},
        },
    }


def check_mlm_record(record: Any, where: str) -> None:
    """Check that `record` may stand in a `results.json`.

    Raises:
        FoldwiseError: The record does not follow the schema; the message names the first place.
    """
    check_record(record, SCHEMA, where)
