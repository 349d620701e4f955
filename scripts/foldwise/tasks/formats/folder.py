"""A folder of CIF and POSCAR files, with any depth of folders in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.formats.rows import RawRow, RawSource
from foldwise.tasks.formats.text import crystal_of_file

_CIF = re.compile(r"(?P<id>.+)\.(?:cif|mcif|vasp|poscar)", re.IGNORECASE)
_POSCAR = re.compile(r"(?:POSCAR|CONTCAR)(?:[._-](?P<id>.+))?")


def folder_source(path: Path) -> RawSource:
    """Files of a folder in the order of their paths, or one file.

    The id is the name without its ending: `NaCl.cif`, `NaCl.vasp`, `POSCAR_NaCl`; a file that is
    called POSCAR or CONTCAR alone takes the name of its folder. All may be gzipped (`.gz`).

    Raises:
        FoldwiseError: There is no such file, or two files have one id.
    """
    files: list[tuple[str, str]] = []
    ignored = []
    for found in _files(path):
        name = _id_of(found)
        if name is None:
            ignored.append(found.name)
        else:
            files.append((name, str(found)))
    if not files:
        raise FoldwiseError(
            "there is no structure in it" + (f" ({len(ignored)} other files)" if ignored else ""),
            where=str(path),
            hint="Files are called NAME.cif, NAME.vasp, POSCAR_NAME or NAME/POSCAR, .gz or not.",
        )
    seen: dict[str, str] = {}
    for name, file in files:
        if name in seen:
            raise FoldwiseError(
                f"two files have the id {name!r}: {os.path.relpath(seen[name], path)} and "
                f"{os.path.relpath(file, path)}",
                where=str(path),
                hint="Rename or remove one.",
            )
        seen[name] = file
    return RawSource(
        kind="folder of structure files" if path.is_dir() else "structure file",
        total=len(files),
        rows=partial(_rows, files),
        ignored=tuple(ignored),
    )


def _files(path: Path) -> Iterator[Path]:
    """Files of a folder and of those in it; links to folders are followed, each folder once."""
    if path.is_file():
        yield path
        return
    seen = {path.resolve()}
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
        followed = []
        for name in folders:
            target = Path(folder, name).resolve()
            # A link to what is in this folder anyway must not come before the folder itself.
            inside = Path(folder, name).is_symlink() and target.is_relative_to(path.resolve())
            if target not in seen and not inside:
                seen.add(target)
                followed.append(name)
        folders[:] = followed
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _id_of(file: Path) -> str | None:
    name = file.name.removesuffix(".gz")
    found = _CIF.fullmatch(name) or _POSCAR.fullmatch(name)
    return None if found is None else found["id"] or file.absolute().parent.name


def is_structure_file(path: Path) -> bool:
    """Whether a file is called as one structure's file is."""
    return _id_of(path) is not None


def _rows(files: list[tuple[str, str]]) -> Iterator[RawRow]:
    for name, file in files:
        yield RawRow(name, file, crystal_of_file, file, {})
