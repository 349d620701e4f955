"""With which code, packages and data a result was made."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from foldwise.experiment.inputs import ExperimentInputs, Json

PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "chgnet", "pymatgen", "matbench")
REPOSITORY = Path(__file__).resolve().parents[3]


def provenance_block(inputs: ExperimentInputs, command: str | None) -> Json:
    """The `provenance` block of `results.json`; it holds no time, so equal inputs give equal bytes.

    Args:
        inputs: The experiment's inputs.
        command: The command that makes the experiment again, if known.
    """
    return {
        "command": command,
        "dataset_sha256": inputs.card["source_sha256"],
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        **_git_state(),
    }


def commit_time() -> datetime:
    """When the commit of the repository was made (UTC), 1970 outside of git.

    Unlike the hour of the run it is the same for equal code, so equal inputs give equal bytes.
    """
    seconds = _git("show", "-s", "--format=%ct", "HEAD")
    return datetime.fromtimestamp(int(seconds or 0), tz=UTC)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _git_state() -> Json:
    """Commit of the repository and whether files differ from it; both `None` outside of git."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    known = commit is not None and changes is not None
    return {"git_commit": commit, "git_dirty": bool(changes) if known else None}


def _git(*arguments: str) -> str | None:
    try:
        run = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()
