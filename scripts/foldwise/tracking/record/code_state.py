"""Which code made a result: commit, branch, and what differs from the commit."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from foldwise.common.files import REPOSITORY

MAX_HASHED_BYTES = 10_000_000


@dataclass(frozen=True)
class CodeState:
    """State of the working tree; all fields are `None` outside of git.

    Attributes:
        git_commit: Full name of the commit.
        git_branch: Branch, or `HEAD` where none is checked out.
        git_dirty: Whether files differ from the commit, or are new and not ignored.
        dirty_hash: SHA-256 of these differences; `None` for a clean tree.
    """

    git_commit: str | None
    git_branch: str | None
    git_dirty: bool | None
    dirty_hash: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, for JSON."""
        return asdict(self)


@cache
def code_state(repository: Path = REPOSITORY) -> CodeState:
    """The state of `repository` at the first call of this process."""
    commit = git(repository, "rev-parse", "HEAD")
    difference = git(repository, "diff", "HEAD", "--binary")
    if commit is None or difference is None:
        return CodeState(None, None, None, None)
    branch = git(repository, "rev-parse", "--abbrev-ref", "HEAD")
    new = git(repository, "ls-files", "--others", "--exclude-standard", "-z") or b""
    files = sorted(name.decode() for name in new.split(b"\0") if name)
    dirty = bool(difference or files)
    return CodeState(
        git_commit=commit.decode().strip(),
        git_branch=branch.decode().strip() if branch else None,
        git_dirty=dirty,
        dirty_hash=_dirty_hash(repository, difference, files) if dirty else None,
    )


def _dirty_hash(repository: Path, difference: bytes, files: list[str]) -> str:
    digest = hashlib.sha256(difference)
    for name in files:
        path = repository / name
        digest.update(f"\0{name}\0".encode())
        if path.is_symlink():  # git keeps where it points, which may be a folder
            digest.update(str(path.readlink()).encode())
            continue
        size = path.stat().st_size if path.is_file() else 0
        # The size stands for a large file: hashing a forgotten dataset would hold up every run.
        digest.update(path.read_bytes() if 0 < size <= MAX_HASHED_BYTES else str(size).encode())
    return digest.hexdigest()


def git(repository: Path, *arguments: str) -> bytes | None:
    """Standard output of a git command; `None` where git or the repository is missing."""
    try:
        run = subprocess.run(
            ["git", "-C", str(repository), *arguments],
            capture_output=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout
