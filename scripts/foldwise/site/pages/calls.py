"""Language models' prompts and outputs: how many could be read, and the error both ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.calls import CALL_SHARD, write_calls
from foldwise.site.reading.calls import read_calls
from foldwise.site.reading.experiments import ExperimentFolder


def calls_page(site: Path, experiment: ExperimentFolder, ids: Sequence[str]) -> Json | None:
    """Write the data of an experiment's calls; what the page shows of them at once.

    Args:
        site: Folder of the site.
        experiment: The experiment.
        ids: The dataset's rows.

    Returns:
        `None` for an experiment that asked no language model.
    """
    calls = read_calls(experiment.folder)
    if calls is None:
        return None
    write_calls(site, experiment.name, calls, ids)
    read = calls["parse_status"] == OK
    settings = experiment.record["hyperparams"]
    return {
        "calls": len(calls),
        "unread": int((~read).sum()),
        "mae": float(calls["abs_error"].mean()),
        "mae_read": float(calls["abs_error"][read].mean()) if read.any() else None,
        "model": settings.get("language_model"),
        "method": settings.get("method"),
        "decoding": settings.get("decoding"),
        "shard": CALL_SHARD,
    }
