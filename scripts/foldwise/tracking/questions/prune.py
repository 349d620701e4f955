"""What may be thrown away: copies and half-done states that only discarded runs have left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from foldwise.common.files import bytes_of, read_json
from foldwise.tracking.record.entries import Entry
from foldwise.tracking.record.registry import Registry


@dataclass(frozen=True)
class Waste:
    """Something that may go.

    Attributes:
        path: File or folder.
        size: Bytes on disk.
        why: Why nobody needs it.
    """

    path: Path
    size: int
    why: str


def find_waste(registry: Registry) -> list[Waste]:
    """Transient artifacts of discarded runs, the largest first.

    These are the copied predictions of a discarded run (its numbers, config and reason stay), the
    predictions of attempts that a later one replaced, and the resume states of trainings whose
    recipe only discarded runs use. Models and `results/{experiment}` are never part of it:
    Snakemake would make them again.
    """
    found: list[Waste] = []
    entries = registry.entries()
    for entry in entries.values():
        found += _copies(registry, entry)
    for recipe, path in _resume_states(registry):
        users = [entry for entry in entries.values() if recipe in _recipes(registry, entry)]
        if users and all(entry["decision"]["verdict"] == "discard" for entry in users):
            names = ", ".join(entry["identity"] for entry in users)
            found.append(Waste(path, bytes_of(path), f"resume state of discarded {names}"))
    return sorted(found, key=lambda waste: (-waste.size, str(waste.path)))


def remove(waste: list[Waste]) -> None:
    """Delete what `find_waste` found."""
    for each in waste:
        if each.path.is_dir():
            shutil.rmtree(each.path)
        else:
            each.path.unlink(missing_ok=True)


def _copies(registry: Registry, entry: Entry) -> list[Waste]:
    last = f"attempt_{entry['attempt']}"
    found = []
    for path in sorted(registry.folder(entry["identity"]).glob("attempt_*/predictions.parquet")):
        if entry["decision"]["verdict"] == "discard":
            why = f"predictions of discarded {entry['identity']}"
        elif path.parent.name != last:
            why = f"predictions of a replaced attempt of {entry['identity']}"
        else:
            continue
        found.append(Waste(path, bytes_of(path), why))
    return found


def _resume_states(registry: Registry) -> list[tuple[str, Path]]:
    models = registry.root / "models"
    folders = sorted(models.glob("*/*/*/*/.resume")) if models.is_dir() else []
    return [(folder.relative_to(models).parts[0], folder) for folder in folders]


def _recipes(registry: Registry, entry: Entry) -> set[str]:
    """Recipes that a run trains, its teachers' included."""
    config = read_json(registry.folder(entry["identity"]) / "config.json")
    teacher = config["recipe"].get("teacher") or {}
    return {config["recipe_name"], teacher.get("recipe")} - {None}
