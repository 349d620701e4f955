"""Which source files decide what a program writes: the program and the modules that it imports."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

# They decide how a file is written, an error worded or a run recorded, never a number.
NEUTRAL = frozenset({"errors", "files", "progress", "tracking.lifecycle"})


@cache
def _imported(path: Path) -> frozenset[str]:
    """Dotted foldwise modules that a source file imports, without the package's name."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            package, _, module = node.module.partition(".")
            if package == "foldwise":
                modules.update([module] if module else [alias.name for alias in node.names])
    return frozenset(modules)


def sources_of(program: str, scripts: str = "scripts") -> list[str]:
    """Paths of the program and of every library module behind it, the neutral ones left out.

    Args:
        program: File name below `scripts`.
        scripts: Folder of the programs and of the library; the paths start with it.
    """
    root = Path(scripts)
    waiting, found = [root / program], []
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        found.append(str(path))
        found.extend(str(kernel) for kernel in path.parent.glob("*.cpp"))
        for module in _imported(path) - NEUTRAL:
            stem = root / "foldwise" / module.replace(".", "/")
            source = stem.with_suffix(".py")
            waiting.append(source if source.exists() else stem / "__init__.py")
    return sorted(set(found))
