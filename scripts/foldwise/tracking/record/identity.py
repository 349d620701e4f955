"""The name of a run: what is computed (the resolved config) and with which code (its state)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from foldwise.common.files import canonical_sha256

NO_COMMIT = "nogit"


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a resolved config; comments and the order of keys are not part of it."""
    return canonical_sha256(config)


def run_identity(
    config: Mapping[str, Any], commit: str | None, dirty_hash: str | None = None
) -> str:
    """`{config_hash[:8]}_{commit[:7]}`; outside of git `nogit` stands for the commit.

    With uncommitted changes `_{dirty_hash[:7]}` follows: other changes, another run.

    Args:
        config: The resolved config of one experiment.
        commit: Full name of the commit.
        dirty_hash: SHA-256 of what differs from the commit; `None` for a clean tree.
    """
    changes = f"_{dirty_hash[:7]}" if dirty_hash else ""
    return f"{config_hash(config)[:8]}_{(commit or NO_COMMIT)[:7]}{changes}"


def run_id(experiment: str, started: str, config_hash: str) -> str:
    """Name of one attempt that says what and when: `e4_20261121T141040Z_f58e247b`.

    Args:
        experiment: Name of the experiment.
        started: Its start, ISO 8601 in UTC.
        config_hash: SHA-256 of its resolved config.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", experiment)
    return f"{plain}_{re.sub('[:-]', '', started)}_{config_hash[:8]}"
