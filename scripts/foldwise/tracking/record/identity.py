"""The name of a run: what is computed (the resolved config) and with which code (the commit)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldwise.common.files import canonical_sha256

NO_COMMIT = "nogit"


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a resolved config; comments and the order of keys are not part of it."""
    return canonical_sha256(config)


def run_identity(config: Mapping[str, Any], commit: str | None) -> str:
    """`{config_hash[:8]}_{commit[:7]}`; outside of git `nogit` stands for the commit.

    Args:
        config: The resolved config of one experiment.
        commit: Full name of the commit.
    """
    return f"{config_hash(config)[:8]}_{(commit or NO_COMMIT)[:7]}"
