"""Which source files decide what a program writes: the program and the modules that it imports."""

from __future__ import annotations

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

# They decide how a file is written, an error worded or a run recorded, never a number.
NEUTRAL = frozenset(
    {
        "common.errors",
        "common.files",
        "common.frames",
        "common.lease",
        "common.options",
        "common.output",
        "common.progress",
        "common.reading",
        "common.workers",
        "prediction.ahead",
        "tracking.calls.program",
        "tracking.record.decision",
        "tracking.record.lifecycle",
        "training.stopping",
    }
)

_DIGITS = 12
_IMPORT = re.compile(r"^[ \t]*from foldwise(?:\.\w+)* import (?:\([^)]*\)|[^\n]+)", re.MULTILINE)


@cache
def _imported(path: Path, library: Path) -> frozenset[str]:
    """Dotted foldwise modules that a source file imports, without the package's name."""
    modules = set()
    for statement in _IMPORT.findall(path.read_text(encoding="utf-8")):
        # Parsing whole files would take a third of the time that Snakemake needs to start.
        (node,) = ast.parse(statement.strip()).body
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.partition(".")[2]
            modules.update(_modules(library, module, [alias.name for alias in node.names]))
    return frozenset(modules)


def _modules(library: Path, module: str, names: list[str]) -> list[str]:
    """What `from foldwise.{module} import {names}` reads: a file, or files of a room."""
    if module and _source(library, module).exists():
        return [module]
    within = [f"{module}.{name}".lstrip(".") for name in names]
    return [name for name in within if _source(library, name).exists()]


def _source(library: Path, module: str) -> Path:
    return library / f"{module.replace('.', '/')}.py"


@cache
def code_of(program: str, scripts: str = "scripts") -> str:
    """Short hash of the program and of every library module behind it, the neutral ones left out.

    A rule that has it as a parameter runs again after an edit that may decide a number. Results
    without a record of Snakemake's, copied ones for instance, are not stale on its account.

    Args:
        program: File name below `scripts`.
        scripts: Folder of the programs and of the library.
    """
    whole = hashlib.sha256()
    for path in sources_of(program, scripts):
        name = Path(path).relative_to(scripts).as_posix()
        whole.update(f"{name} {_content(Path(path))}\n".encode())
    return whole.hexdigest()[:_DIGITS]


@cache
def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sources_of(program: str, scripts: str = "scripts") -> list[str]:
    """Paths of the program and of every library module behind it, the neutral ones left out.

    Args:
        program: File name below `scripts`.
        scripts: Folder of the programs and of the library; the paths start with it.
    """
    root = Path(scripts)
    library = root / "foldwise"
    waiting, found = [root / program], []
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        found.append(str(path))
        found.extend(str(kernel) for end in ("cpp", "h") for kernel in path.parent.glob(f"*.{end}"))
        modules = _imported(path, library) - NEUTRAL
        waiting.extend(_source(library, module) for module in modules)
    return sorted(set(found))
