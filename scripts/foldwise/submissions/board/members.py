"""Every submission of a folder, read for every task; what cannot be read is refused by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, read_parquet, write_json, write_parquet
from foldwise.submissions.board.rows import COLUMNS
from foldwise.submissions.content import read_content
from foldwise.submissions.predictions import recorded_predictions, recorded_scores, submitted_task

FILE_NAMES = ("results.json.gz", "results.json")
_BENCHMARK = "matbench_v0.1_"


@dataclass
class Census:
    """Which submissions were read, for which tasks, and what was refused.

    Attributes:
        members: By task, the submissions that have it.
        refused: `name`, `task` (None where the whole file is refused) and `reason` of each.
        notes: `name`, `task` and `note` of what was read although it is unusual.
        files: By submission, its file and checksum.
    """

    members: dict[str, list[str]] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def refuse(self, name: str, task: str | None, reason: str) -> None:
        """Note why a submission, or one of its tasks, is no member."""
        self.refused.append({"name": name, "task": task, "reason": reason})

    def note(self, name: str, task: str | None, note: str) -> None:
        """Note what is unusual about a member."""
        self.notes.append({"name": name, "task": task, "note": note})


def find_submissions(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Files of the submissions in a folder, by name, in the order of their names.

    A submission is `{name}/results.json.gz` (or `results.json`), as in the Matbench repository,
    where the names begin with "matbench_v0.1_", or `{name}.json.gz` itself.

    Raises:
        FoldwiseError: The folder does not exist, or two files have one name.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FoldwiseError(
            f"the folder {str(place)!r} does not exist",
            where="submissions_dir",
            hint="Correct it, or leave it out to download the files.",
        )
    found: dict[str, Path] = {}
    for entry in sorted(place.iterdir()):
        if entry.is_dir():
            path = next((entry / name for name in FILE_NAMES if (entry / name).is_file()), None)
            name = entry.name
        else:
            named = entry.name.removesuffix(".gz").removesuffix(".json")
            path, name = (entry if named != entry.name.removesuffix(".gz") else None), named
        if path is None:
            continue
        name = name.removeprefix(_BENCHMARK)
        if name in found:
            raise FoldwiseError(
                f"{found[name]} and {path} have the same name {name!r}",
                where="submissions_dir",
                hint="Rename one of them.",
            )
        found[name] = path
    return dict(sorted(found.items()))


def read_members(
    files: Mapping[str, str | os.PathLike[str]],
    targets: Mapping[str, str | os.PathLike[str]],
    checksums: Mapping[str, str],
    out: str | os.PathLike[str],
) -> Census:
    """Read all submissions, and write for each task what its members predicted.

    Below `out`: `census.json`; for each task `{task}/members.parquet` (id, formula, fold, target,
    one column per member) and, for each member, `{task}/{name}/predictions.parquet` and
    `scores.json`.

    Args:
        files: File of each submission.
        targets: `targets.parquet` of each task.
        checksums: By submission, the checksum of the file that the config names.
        out: Folder.

    Raises:
        FoldwiseError: No submission can be read, or a table of targets is missing.
    """
    folder, census = Path(out), Census(members={task: [] for task in targets})
    tables = {task: _targets(path) for task, path in targets.items()}
    columns: dict[str, dict[str, pd.DataFrame]] = {task: {} for task in targets}
    for name, path in files.items():
        if name in COLUMNS:
            census.refuse(name, None, "its name is a column of the table; rename its folder")
            continue
        content = _opened(name, Path(path), checksums.get(name), census)
        known = _known_tasks(name, content, tables, census)
        for task in known:
            found = _read_task(name, task, content, tables[task], census)
            if found is None:
                continue
            columns[task][name], scores = found
            write_parquet(folder / task / name / "predictions.parquet", columns[task][name])
            write_json(folder / task / name / "scores.json", scores)
    if not any(census.members.values()):
        reasons = "; ".join(f"{entry['name']}: {entry['reason']}" for entry in census.refused)
        raise FoldwiseError(
            f"none of {len(files)} submissions can be used ({reasons[:300]})",
            where="submissions_dir",
            hint="Give a folder with {name}/results.json.gz of Matbench submissions.",
        )
    for task, table in tables.items():
        members = {name: found["prediction"].to_numpy() for name, found in columns[task].items()}
        fold = next(iter(columns[task].values()))["fold"].to_numpy() if members else -1
        written = table.assign(fold=fold)[list(COLUMNS)]
        write_parquet(folder / task / "members.parquet", written.assign(**members))
    write_json(folder / "census.json", vars(census))
    return census


def _opened(name: str, path: Path, checksum: str | None, census: Census) -> Mapping[str, Any]:
    """The content of a submission's file; empty where the whole file is refused."""
    try:
        content = read_content(path)
        sha256 = file_sha256(path)
    except FoldwiseError as error:
        census.refuse(name, None, error.what)
        return {}
    same = [other for other, file in census.files.items() if file["sha256"] == sha256]
    if same:
        census.refuse(name, None, f"the same file as {same[0]}")
        return {}
    if checksum and checksum != sha256:
        census.note(name, None, f"sha256 is {sha256[:12]}…, the config names {checksum[:12]}…")
    census.files[name] = {"file": str(path), "sha256": sha256}
    return content


def _known_tasks(
    name: str, content: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], census: Census
) -> list[str]:
    """Tasks of the study that a submission has; without any it is refused."""
    if not content:
        return []
    known = [task for task in tables if task in content["tasks"]]
    if not known:
        del census.files[name]
        tasks = ", ".join(sorted(str(task) for task in content["tasks"])) or "none"
        census.refuse(name, None, f"it has no task of this study (its tasks: {tasks[:120]})")
    return known


def _read_task(
    name: str,
    task: str,
    content: Mapping[str, Any],
    table: pd.DataFrame,
    census: Census,
) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Predictions and scores of one task of a submission; None where it is refused."""
    targets = table.set_index("id")["target"]
    file = census.files[name]
    try:
        submission = submitted_task(content, name, task, file["file"], file["sha256"])
        scores = recorded_scores(submission, targets)
    except FoldwiseError as error:
        census.refuse(name, task, error.what)
        return None
    predictions = recorded_predictions(submission, pd.Index(targets.index))
    census.members[task].append(name)
    for note in submission.notes:
        census.note(name, task, note)
    return predictions, scores


def _targets(path: str | os.PathLike[str]) -> pd.DataFrame:
    return read_parquet(path, ("id", "formula", "target"))
