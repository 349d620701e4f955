"""The environment in which a program runs: the current one, or one made of a pip list."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json
from foldwise.common.reading import read_yaml

_PIN = re.compile(r"([A-Za-z0-9_.-]+)==([^\s;]+)")


def requirements(path: str | Path) -> list[str]:
    """The pip part of a conda environment file.

    Raises:
        FoldwiseError: The file is missing, or has no such part.
    """
    hint = "Write dependencies: [python=3.11, pip, {pip: [name==version, …]}]."
    try:
        content = read_yaml(path, absent=hint, broken=hint)
        parts = [part for part in content["dependencies"] if isinstance(part, dict)]
        lines = [str(line) for part in parts for line in part["pip"]]
    except (KeyError, TypeError):
        lines = []
    if not lines:
        raise FoldwiseError(
            "it has no pip part to make an environment of", where=str(path), hint=hint
        )
    return lines


def is_satisfied(path: str | Path) -> bool:
    """Whether the current environment has exactly the versions that the file pins."""
    for line in requirements(path):
        pin = _PIN.fullmatch(line.strip())
        if pin is None or _version(pin[1]) != pin[2]:
            return False
    return True


def _version(name: str) -> str | None:
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def make_environment(path: str | Path, out: str | Path, packages: str | Path) -> None:
    """Make a virtual environment of the file's pip part, and write what came into it.

    Args:
        path: The environment file.
        out: Folder of the environment.
        packages: JSON of names and versions.

    Raises:
        FoldwiseError: pip cannot install it.
    """
    lines = requirements(path)
    _call([sys.executable, "-m", "venv", str(out)], path)
    python = str(Path(out) / "bin" / "python")
    _call([python, "-m", "pip", "install", "--no-input", "--progress-bar", "off", *lines], path)
    listed = _call([python, "-m", "pip", "list", "--format", "json"], path)
    found = {entry["name"]: entry["version"] for entry in json.loads(listed)}
    write_json(packages, {"file": str(path), "asked": lines, "packages": found})


def _call(words: Sequence[str], where: str | Path) -> str:
    print(" ".join(words), file=sys.stderr)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        last = (said or done.stderr.splitlines() or ["no word"])[0]
        raise FoldwiseError(
            f"the environment cannot be made ({' '.join(last.split())[:200]})",
            where=str(where),
            hint="Correct its pip part.",
        )
    return done.stdout
