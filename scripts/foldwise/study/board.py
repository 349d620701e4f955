"""The part of a config that is about the whole leaderboard: tasks, and where submissions are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, DIFFERENT, Name, Number
from foldwise.study.recorded_teachers import DOWNLOADS, TARGETS_SOURCE
from foldwise.submissions.board.members import find_submissions
from foldwise.submissions.board.rows import structure_file
from foldwise.tasks.official import any_official_task


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenTask:
    """A task of the leaderboard, as the config writes it."""

    low: Number | None = Field(
        default=None,
        description="smallest value that physics allows; a prediction below it is moved there",
    )
    beside: Annotated[tuple[str, ...], *DIFFERENT] = Field(
        default=(), description="tasks whose members say something about the same compounds"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenBoard:
    """The whole leaderboard, as the config writes it."""

    tasks: dict[Name, WrittenTask | None] = Field(description="official tasks")


@dataclasses.dataclass(frozen=True)
class BoardTask:
    """A task of the leaderboard.

    Attributes:
        name: Official task.
        n_rows: Rows that Matbench gives it.
        classification: Whether its target is a class.
        low: Smallest value that physics allows, or None.
        beside: Tasks whose members say something about the same compounds.
    """

    name: str
    n_rows: int
    classification: bool
    low: float | None
    beside: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Board:
    """The leaderboard of a config.

    Attributes:
        tasks: By name, in the config's order.
        files: File of each submission, by name.
        checksums: By submission, the checksum that the config names.
        structures: By task, the dataset with its crystals, where there is one.
    """

    tasks: dict[str, BoardTask]
    files: dict[str, Path]
    checksums: dict[str, str]
    structures: dict[str, Path]

    @property
    def absent(self) -> list[str]:
        """Submissions that the config names and the folder lacks."""
        return sorted(set(self.checksums) - set(self.files))


def parse_board(config: Mapping[str, Any]) -> Board | None:
    """The leaderboard of a config whose schema has been checked; None where it has none.

    Raises:
        FoldwiseError: A task is unknown or has another source, or there are no submissions.
    """
    given = config.get("leaderboard")
    if given is None:
        return None
    tasks = {
        name: _task(name, value or {}, given["tasks"], config["datasets"])
        for name, value in given["tasks"].items()
    }
    named = {name: dict(value or {}) for name, value in config.get("submissions", {}).items()}
    folder = config.get("submissions_dir")
    if folder is not None:
        files = find_submissions(folder)
    else:
        files = {
            name: Path(value.get("path", f"{DOWNLOADS}/{name}/results.json.gz"))
            for name, value in named.items()
        }
    if not files:
        raise FoldwiseError(
            f"there is no submission in {folder!r}" if folder else "no submission is named",
            where="submissions_dir" if folder else "submissions",
            hint="Put {name}/results.json.gz of Matbench submissions there.",
        )
    checksums = {name: value["sha256"] for name, value in named.items() if "sha256" in value}
    return Board(
        tasks=tasks,
        files=files,
        checksums=checksums,
        structures=_structures(config.get("structures_dir"), tasks),
    )


def _structures(folder: str | None, tasks: Collection[str]) -> dict[str, Path]:
    if folder is None:
        return {}
    found = {task: structure_file(folder, task) for task in tasks}
    known = {task: path for task, path in found.items() if path is not None}
    if not known:
        raise FoldwiseError(
            f"there is no dataset of any of the {len(tasks)} tasks in {folder!r}",
            where="structures_dir",
            hint="Put {task}.json.gz there, as Matbench ships it, or leave it out.",
        )
    return known


def _task(
    name: str, value: Mapping[str, Any], tasks: Mapping[str, Any], datasets: Mapping[str, Any]
) -> BoardTask:
    where = f"leaderboard.tasks.{name}"
    official = any_official_task(name)
    dataset = datasets.get(name)
    if official is None or not dataset or dataset["source"] != TARGETS_SOURCE:
        raise FoldwiseError(
            "no official task with a dataset of source targets",
            where=where,
            hint=f"Add datasets.{name} with source: targets, or take the task out.",
        )
    unknown = [other for other in value.get("beside", ()) if other not in tasks or other == name]
    if unknown:
        raise FoldwiseError(
            f"unknown task {unknown[0]!r}",
            where=f"{where}.beside",
            hint="Name other tasks of the leaderboard.",
        )
    return BoardTask(
        name=name,
        n_rows=official.n_samples,
        classification=official.is_classification,
        low=value.get("low"),
        beside=tuple(value.get("beside", ())),
    )
