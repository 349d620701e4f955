"""How the programs of a study ended, and which of them are to run again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json

OUTCOME = "outcome.json"


def refuse(outcome: str | os.PathLike[str], reason: str) -> None:
    """Record that what a program left cannot be used, as if it had said so itself."""
    facts = read_json(outcome)
    if facts["failed"] is None:
        write_json(outcome, {**facts, "failed": reason})


def forget_failures(models: str | os.PathLike[str], recipes: Iterable[str]) -> list[Path]:
    """Remove the outcomes of failed programs, so that Snakemake runs these again.

    What made one fail may lie where no rule looks: a module it imports, data, packages, memory.

    Args:
        models: Folder of all models, `models/{recipe}/{task}/fold_{fold}/seed_{seed}` below it.
        recipes: Recipes whose failures end a call; others go on without the failed member.

    Returns:
        What was removed.
    """
    found = [
        path for name in recipes for path in Path(models, name).glob(f"*/fold_*/seed_*/{OUTCOME}")
    ]
    failed = [path for path in found if _has_failed(path)]
    for path in failed:
        path.unlink(missing_ok=True)
    return failed


def _has_failed(path: Path) -> bool:
    try:
        facts = read_json(path)
    except FoldwiseError:  # the job that reads it says what to do
        return False
    return isinstance(facts, dict) and facts.get("failed") is not None
