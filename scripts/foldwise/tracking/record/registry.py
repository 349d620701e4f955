"""`registry.json`: an index of all runs, always whole, and rebuildable from their folders.

Writers take turns by a lock on `runs/.lock`, which the system frees when its holder dies; readers
need none, because the file is replaced in one step. The order of a change is: a mark that the run
changes, its event, the registry, the mark's removal. A writer killed on the way leaves the mark,
and the next one makes the registry up to date.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_text
from foldwise.tracking.record.entries import Entries, Entry, entry_of, mark_best
from foldwise.tracking.record.events import SCHEMA_VERSION, known_events, write_event
from foldwise.tracking.record.leaderboard import leaderboard_csv


class Change:
    """One turn of a writer: entries as they are, and events to append."""

    def __init__(self, registry: Registry, entries: Entries) -> None:
        self.entries = entries
        self._registry = registry

    def append(self, identity: str, kind: str, payload: Mapping[str, Any]) -> Entry:
        """Write an event of a run and return its new entry."""
        self._registry.pending.mkdir(parents=True, exist_ok=True)
        (self._registry.pending / identity).touch()
        folder = self._registry.folder(identity)
        write_event(folder, kind, payload)
        self.entries[identity] = entry_of(identity, known_events(folder))
        return self.entries[identity]


class Registry:
    """The runs below one results folder.

    Args:
        root: `results`, or `results/{run}` for a named study.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.runs = self.root / "runs"
        self.path = self.root / "registry.json"
        self.pending = self.runs / ".pending"

    def folder(self, identity: str) -> Path:
        """Folder of a run."""
        return self.runs / identity

    def entries(self) -> Entries:
        """All entries by identity; empty where nothing has been run.

        An index of an older version is left as it is, and computed from the events.

        Raises:
            FoldwiseError: The registry is damaged.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return self._unlisted()
        except OSError as error:
            raise self._damaged(f"cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"is not valid JSON ({error})") from error
        runs = content.get("runs") if isinstance(content, dict) else None
        if not isinstance(runs, dict) or not all(isinstance(one, dict) for one in runs.values()):
            raise self._damaged("is not an object with runs")
        if content.get("schema_version") != SCHEMA_VERSION or not all(
            "attempt" in entry for entry in runs.values()
        ):
            return self._built()
        entries: Entries = runs
        return entries

    def _unlisted(self) -> Entries:
        """No entries, unless there are runs, which only an index is missing of."""
        if not self.root.is_dir():
            raise FoldwiseError(
                "is not a folder" if self.root.exists() else "no such folder",
                where=str(self.root),
                hint="Name the folder of the results with --results.",
            )
        runs = list(self.runs.glob("*/events")) if self.runs.is_dir() else []
        if runs:
            raise self._damaged(f"is missing, and {len(runs)} run(s) are in {self.runs}")
        return {}

    def _damaged(self, what: str) -> FoldwiseError:
        again = shlex.join(["python", "scripts/runs.py", "--results", str(self.root), "rebuild"])
        return FoldwiseError(f"the registry {what}", where=str(self.path), hint=f"Run: {again}")

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Take the turn of a writer; what was appended is in `registry.json` afterwards."""
        with self._locked():
            left = [
                path
                for path in _files(self.pending)
                if (self.folder(path.name) / "events").is_dir()
            ]
            entries = self._read_or_build()
            for mark in left:
                entries[mark.name] = entry_of(mark.name, known_events(self.folder(mark.name)))
            change = Change(self, entries)
            try:
                yield change
            finally:
                self._write(entries)

    def rebuild(self) -> Entries:
        """Compute the registry anew from the run folders."""
        with self._locked():
            entries = self._built()
            self._write(entries)
        return entries

    def _read_or_build(self) -> Entries:
        try:
            return self.entries() if self.path.exists() else self._built()
        except FoldwiseError:
            return self._built()

    def _built(self) -> Entries:
        folders = sorted(path for path in _files(self.runs) if path.is_dir())
        entries = {
            folder.name: entry_of(folder.name, events)
            for folder in folders
            if (events := known_events(folder))
        }
        mark_best(entries)
        return entries

    def _write(self, entries: Entries) -> None:
        known = {name: entry for name, entry in sorted(entries.items()) if entry["attempts"]}
        mark_best(known)
        write_text(self.path, registry_text(known))
        write_text(self.root / "leaderboard.csv", leaderboard_csv(known))
        for mark in _files(self.pending):
            if not mark.is_dir():
                mark.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise FoldwiseError(
                "is not a folder", where=str(error.filename), hint="Move the file away."
            ) from error
        with FileLock(self.runs / ".lock"):
            yield


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def registry_text(entries: Entries) -> str:
    """The content of `registry.json`: one line per run, so that `grep` finds a whole entry."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False, allow_nan=False)}"
        for name, entry in entries.items()
    ]
    body = ",\n".join(lines)
    return f'{{"schema_version": {SCHEMA_VERSION}, "runs": {{\n{body}\n}}}}\n'
