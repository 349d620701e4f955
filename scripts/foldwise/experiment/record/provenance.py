"""With which code, packages and data a result was made."""

from __future__ import annotations

from datetime import UTC, datetime

from foldwise.common.files import REPOSITORY, canonical_sha256
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.tracking.record.code_state import code_state, git
from foldwise.tracking.record.environment import environment


def provenance_block(inputs: ExperimentInputs, command: str | None) -> Json:
    """The `provenance` block of `results.json`; it holds no date, so equal inputs give equal bytes.

    What the trainings cost (`cost`) is that of their own machines; processor, graphics card and
    driver are those of the machine that writes the record.

    Args:
        inputs: The experiment's inputs.
        command: The command that makes the experiment again, if known.
    """
    return {
        "command": command,
        "seeds": inputs.seeds,
        "dataset_sha256": inputs.card["source_sha256"],
        "splits_sha256": _splits_sha256(inputs),
        **environment(),
        **code_state().as_dict(),
        "cost": _cost(inputs),
    }


def _splits_sha256(inputs: ExperimentInputs) -> str:
    """SHA-256 of the ids of all folds."""
    return canonical_sha256(
        {str(fold): [split.train, split.test] for fold, split in inputs.splits.items()}
    )


def _cost(inputs: ExperimentInputs) -> Json:
    """Sums over the trainings, and their largest memory; `None` where a training does not say."""
    fits = [model.fit for model in inputs.models]

    def known(key: str) -> list[float] | None:
        values = [fit.get(key) for fit in fits]
        return [value for value in values if value is not None] if all(values) and fits else None

    wall, cpu = known("wall_time_sec"), known("cpu_time_sec")
    host = known("host_peak_memory_bytes")
    device = [fit["peak_memory_bytes"] for fit in fits if fit["device"] == "cuda"]
    return {
        "wall_time_sec": sum(wall) if wall else None,
        "cpu_time_sec": sum(cpu) if cpu else None,
        "host_peak_memory_bytes": max(host) if host else None,
        "device_peak_memory_bytes": max(device, default=None),
    }


def commit_time() -> datetime:
    """When the commit of the repository was made (UTC), 1970 outside of git.

    Unlike the hour of the run it is the same for equal code, so equal inputs give equal bytes.
    """
    seconds = git(REPOSITORY, "show", "-s", "--format=%ct", "HEAD")
    return datetime.fromtimestamp(int(seconds or 0), tz=UTC)
