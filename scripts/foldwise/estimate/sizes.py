"""How large a task is, as far as that is known before and after its dataset has been read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json
from foldwise.tasks.official import any_official_task

# Bytes of a compressed file of Matbench's format, per structure and per atom. Measured: 464 and 39
# with the 3,589 embedded crystals of mp_e_form, 72 and 18 with the 500 small ones. The smaller
# figures overestimate a task, which costs memory that is not used.
BYTES_PER_STRUCTURE, BYTES_PER_ATOM = 72, 18
# Mean atoms per cell of the official tasks with structures, from the compositions that their rows
# have; phonons and jdft2d are small cells, mp_e_form and mp_gap whole Materials Project.
MEAN_ATOMS = {
    "matbench_dielectric": 16.9,
    "matbench_jdft2d": 7.2,
    "matbench_log_gvrh": 8.6,
    "matbench_log_kvrh": 8.6,
    "matbench_mp_e_form": 29.2,
    "matbench_mp_gap": 30.0,
    "matbench_mp_is_metal": 30.0,
    "matbench_perovskites": 5.0,
    "matbench_phonons": 7.5,
}
TYPICAL_ATOMS = 30.0
"""Where nothing is known: the mean of Materials Project."""


@dataclass(frozen=True)
class TaskSize:
    """Structures of a task, and atoms of all of them."""

    structures: int
    atoms: int

    def __add__(self, other: TaskSize) -> TaskSize:
        return TaskSize(self.structures + other.structures, self.atoms + other.atoms)

    def __mul__(self, factor: int) -> TaskSize:
        return TaskSize(self.structures * factor, self.atoms * factor)


def task_size(task: str, dataset: Mapping[str, Any], data: Path) -> TaskSize:
    """The size of a task: as its card says, else as its file or its official name lets expect.

    Args:
        task: Its name.
        dataset: Its entry in the config.
        data: Folder of its prepared data, which may not be there yet.
    """
    official = None
    with suppress(FoldwiseError):  # the config's own check says so
        official = any_official_task(task)
    mean = MEAN_ATOMS.get(task, TYPICAL_ATOMS)
    if dataset.get("max_atoms"):
        mean = min(mean, float(dataset["max_atoms"]))
    with suppress(FoldwiseError):  # not there yet; a damaged one is named by the job that reads it
        facts = read_json(data / "card.json")
        mean = min(mean, float(facts.get("max_atoms") or mean))
        return TaskSize(int(facts["n_source"]), round(facts["n_source"] * mean))
    path = _file_of(dataset)
    if path is not None and path.is_file():
        size = path.stat().st_size
        structures = size // BYTES_PER_STRUCTURE
        atoms = size // BYTES_PER_ATOM
        most = official.n_samples if official else structures
        return TaskSize(
            min(structures, most), min(atoms, round(most * mean)) if official else atoms
        )
    most = official.n_samples if official else 0
    return TaskSize(most, round(most * mean))


def _file_of(dataset: Mapping[str, Any]) -> Path | None:
    if dataset["source"] == "embedded":
        return REPOSITORY / "data" / f"{dataset.get('name') or 'demo'}.json.gz"
    return Path(dataset["path"]) if dataset.get("path") else None
