"""One run as a zip that runs again elsewhere: code, config, record, checksums, README."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, atomic_path, read_json
from foldwise.tracking.record.code_state import code_state, git
from foldwise.tracking.record.entries import RANKED_BY, Entry
from foldwise.tracking.record.registry import Registry

_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive, so that equal content gives equal bytes."""
_PARTS = (
    "Snakefile", "rules", "config", "profiles", "envs", "scripts", "reports", "data",
    "requirements.lock", "Makefile", "pyproject.toml", "README.md", "LICENSE", "runs.yaml",
)  # fmt: skip
_SOURCES = {
    ".py", ".smk", ".yaml", ".yml", ".json", ".toml", ".md", ".lock", ".csv", ".txt", ".sh", ".cpp",
    ".c", ".h", ".html", ".css", ".js", ".j2", ".svg", ".bib", ".cif",
}  # fmt: skip
"""Kinds of files that are packed if no git says which ones are tracked."""
_STUDY_NOTE = (
    "  study.json       the whole config of the study, as it was laid over config/config.yaml\n"
)
_INPUTS = {
    "model": "model", "start": "start", "texts_sha256": "texts", "samples_sha256": "samples",
    "lambada_sha256": "Ko-LAMBADA",
}  # fmt: skip
_NEEDS = """\
It needs these, which are too large to be here. A file is the same if its SHA-256 is; that of a
folder is made of those of its files:"""
_README = """\
Run {identity}: {experiment}, {title}

What is here
  the repository{code_note}
{study_note}  record/          what was recorded: events, config, results, histories, log
  SHA256SUMS       checksums of every file (sha256sum -c SHA256SUMS)

Run it again
  make setup
  PATH="$PWD/.venv/bin:$PATH" {again}

{needs}Then compare {target} with record/{attempt}/{name}.

When it ran
  code        {commit}
  dataset     SHA-256 {dataset}
  command     {command}
  status      {status}
  {metric:<11} {value} {unit}
"""


def export_run(registry: Registry, identity: str, out: Path, include: Sequence[str] = ()) -> Path:
    """Write a zip with the record of the run and the code that it needs to be made again.

    Only files that git tracks, or that are named, are packed, and nothing that a link points to:
    a working tree also holds keys and other people's data.

    Args:
        registry: The registry that holds it.
        identity: The run.
        out: The zip to write.
        include: Untracked files to pack too, from the root of the repository.

    Raises:
        FoldwiseError: The run is unknown, neither its study's config nor its command is known, or
            a file to include is not a file of the repository.
    """
    entry = registry.entries().get(identity)
    folder = registry.folder(identity)
    whole_study = (folder / "study.json").exists()
    if entry is None or not (whole_study or entry["command"]):
        problem = "no such run" if entry is None else "its command was not recorded"
        raise FoldwiseError(
            problem, where=identity, hint="List the runs: python scripts/runs.py list"
        )
    files, code_note = _code(entry)
    files |= _included(include)
    if whole_study:
        files["study.json"] = (folder / "study.json").read_bytes()
    for path in sorted(folder.rglob("*")):
        if _is_own(path, folder) and path.name != "study.json":
            files[f"record/{path.relative_to(folder)}"] = path.read_bytes()
    files["README.txt"] = _readme(entry, folder, code_note, whole_study=whole_study).encode()
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]
    files["SHA256SUMS"] = ("\n".join(sums) + "\n").encode()
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"foldwise_{identity}/{name}", _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            archive.writestr(info, files[name])
    return out


def _code(entry: Entry) -> tuple[dict[str, bytes], str]:
    """Files of the run's commit; of the working tree where its code is nowhere else."""
    commit = entry["git_commit"]
    if commit is None:
        return _tree(None), " (not under git when it ran: the present files)"
    if not entry["git_dirty"]:
        return _committed(commit), f" at commit {commit[:12]}"
    if code_state().dirty_hash == entry["dirty_hash"] and code_state().git_commit == commit:
        note = f" at commit {commit[:12]} with its uncommitted changes"
        if _listed("--others", "--exclude-standard"):
            note += ", but of untracked files only those that were named"
        return _tree(_listed("--cached")), note
    note = f" at commit {commit[:12]}, WITHOUT the uncommitted changes of the run, which are gone"
    return _committed(commit), note


def _committed(commit: str) -> dict[str, bytes]:
    archive = git(REPOSITORY, "archive", "--format=tar", commit)
    if archive is None:
        raise FoldwiseError(
            f"commit {commit[:12]} is not in this repository",
            where=str(REPOSITORY),
            hint="Fetch it (git fetch), then export again.",
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
        return {name: content.read() for name, content in members if content is not None}


def _tree(names: list[str] | None) -> dict[str, bytes]:
    if names is None:
        roots = [REPOSITORY / part for part in _PARTS]
        paths = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
        kept = [path for path in paths if path.suffix in _SOURCES or path.name in _PARTS]
    else:
        kept = [REPOSITORY / name for name in names]
    kept = [path for path in kept if _is_own(path, REPOSITORY)]
    return {str(path.relative_to(REPOSITORY)): path.read_bytes() for path in kept}


def _included(names: Sequence[str]) -> dict[str, bytes]:
    for name in names:
        if Path(name).is_absolute() or not _is_own(REPOSITORY / name, REPOSITORY):
            raise FoldwiseError(
                "is not a file of the repository",
                where=name,
                hint="Name a file, not a link, by its path from the root of the repository.",
            )
    return {Path(name).as_posix(): (REPOSITORY / name).read_bytes() for name in names}


def _listed(*which: str) -> list[str]:
    listed = git(REPOSITORY, "ls-files", *which, "-z") or b""
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def _is_own(path: Path, root: Path) -> bool:
    """Whether a path is a plain file below `root`, reached without a link."""
    return path.is_file() and path.resolve() == root.resolve() / path.relative_to(root)


def _readme(entry: Entry, folder: Path, code_note: str, *, whole_study: bool) -> str:
    root = f"results/{entry['study']}" if entry["study"] else "results"
    target = f"{root}/{entry['experiment']}/results.json"
    if not whole_study:
        target = str(entry["results"])
        if not target.endswith(".json"):
            target += "/results.json"
    metric = entry["ranked_by"] or RANKED_BY
    facts: dict[str, Any] = {
        "identity": entry["identity"],
        "experiment": entry["experiment"],
        "title": entry["title"],
        "code_note": code_note,
        "study_note": _STUDY_NOTE if whole_study else "",
        "target": target,
        "name": Path(target).name,
        "needs": "" if whole_study else _needs(folder),
        "again": f"snakemake --cores 2 {target} --configfile study.json"
        if whole_study
        else entry["command"],
        "attempt": f"attempt_{entry['attempt']}",
        "commit": entry["git_commit"] or "not under git",
        "dataset": entry["dataset_sha256"] or "not known",
        "command": entry["command"] or "not known",
        "status": entry["status"],
        "metric": metric,
        "value": entry["metrics"].get(metric, "none"),
        "unit": entry["unit"] or "",
    }
    return _README.format(**facts)


def _needs(folder: Path) -> str:
    """Inputs that the command of a program names and the archive does not hold, by their hashes."""
    config = read_json(folder / "config.json")
    lines = [
        f"  {meaning:<11} {config[key]}"
        for key, meaning in _INPUTS.items()
        if isinstance(config.get(key), str) and config[key] != "absent"
    ]
    return "\n".join([_NEEDS, *lines, "", ""]) if lines else ""
