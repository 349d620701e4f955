"""From a source to the four files of `data/{task}/`: targets, structures, failures, card."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_csv, write_json, write_parquet
from foldwise.common.workers import worker_pool
from foldwise.crystals.descriptors import Descriptors, describe
from foldwise.crystals.files import write_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import CrystalError, Failure, check_crystal, parse_or_failure
from foldwise.tasks.identifiers import crystal_ids
from foldwise.tasks.matbench_json import STRUCTURE_COLUMN, SplitTable, read_split_json
from foldwise.tasks.official import official_task
from foldwise.tasks.sources import locate_source
from foldwise.tasks.targets import BAD_TARGET, TargetSpec, dataset_card, usable_target

_STAGE = "dataset"
_CHUNK = 64  # crystals per task of a worker process


@dataclass(frozen=True)
class DatasetSpec(TargetSpec):
    """What the config says about a task's data; without a target, the only other column is it.

    Attributes:
        source: "embedded", "matbench" or "file".
        path: The file, for source "file".
        sha256: Expected checksum of the source file; None accepts any.
        max_atoms: Cells with more atoms are no part of the task; None takes all.
    """

    source: str
    path: str | None
    sha256: str | None
    max_atoms: int | None = None


class _Row(NamedTuple):
    """An accepted crystal."""

    id: str
    crystal: CrystalArrays
    descriptors: Descriptors
    target: float


class _Rejected(NamedTuple):
    """A row of failures.csv."""

    id: str
    stage: str
    reason: str
    detail: str


def prepare_dataset(
    spec: DatasetSpec, out_dir: str | os.PathLike[str], workers: int = 1
) -> dict[str, Any]:
    """Read a task's source and write targets.parquet, structures.npz, failures.csv and card.json.

    A row that cannot be used becomes a row of failures.csv; the order of the others is kept. Cells
    with more than `max_atoms` atoms are not part of the task. The files do not depend on `workers`.

    Args:
        spec: The task.
        out_dir: Folder of the four files.
        workers: Processes that describe the crystals.

    Returns:
        The card.

    Raises:
        FoldwiseError: The file as a whole cannot be used, or every row failed.
    """
    source = locate_source(spec.source, spec.task, spec.path, spec.sha256)
    table = read_split_json(source.path, parse_or_failure)
    structure_at, target_at = _columns(table, spec.target or source.target, source.path)
    ids = crystal_ids(table.index, spec.task, str(source.path))
    structures = [_crystal_or_failure(row[structure_at]) for row in table.rows]
    targets = _classes_as_numbers([row[target_at] for row in table.rows])
    small = [not _is_larger(cell, spec.max_atoms) for cell in structures]
    if ids and not any(small):
        raise FoldwiseError(
            f"every cell has more than {spec.max_atoms} atoms",
            where=str(source.path),
            hint="Raise max_atoms, or leave it out.",
        )
    accepted, rejected = _judge(
        list(compress(ids, small)),
        list(compress(structures, small)),
        list(compress(targets, small)),
        workers,
    )
    assert len(accepted) + len(rejected) == sum(small)
    if not accepted:
        raise _nothing_left(rejected, source.path)
    limit = f", cells of at most {spec.max_atoms} atoms" if spec.max_atoms else ""
    card = dataset_card(
        spec,
        np.array([row.target for row in accepted]),
        len(rejected),
        source=source.description + limit,
        sha256=source.sha256,
        licence=source.licence,
        citation=source.citation,
        official=official_task(spec.task) is not None,
        n_elements=len(np.unique(np.concatenate([row.crystal.numbers for row in accepted]))),
        max_atoms=max(len(row.crystal.numbers) for row in accepted),
        notes=source.notes,
    )
    folder = Path(out_dir)
    write_parquet(folder / "targets.parquet", _targets_table(accepted))
    write_structures(
        folder / "structures.npz", [row.id for row in accepted], [row.crystal for row in accepted]
    )
    write_csv(folder / "failures.csv", pd.DataFrame(rejected, columns=list(_Rejected._fields)))
    write_json(folder / "card.json", card)
    return card


def _nothing_left(rejected: Sequence[_Rejected], path: Path) -> FoldwiseError:
    what = "the file has no rows"
    if rejected:
        first = rejected[0]
        what = f"all {len(rejected)} rows failed, the first with: {first.reason} ({first.detail})"
    return FoldwiseError(what, where=str(path), hint="Check the structure and target columns.")


def submission_warning(card: dict[str, Any]) -> str | None:
    """What to say before anything is trained; `None` unless an official task lacks rows.

    A task that leaves larger cells out on purpose is no complete task, and is not warned of.

    Args:
        card: What `prepare_dataset` returns.
    """
    official = official_task(card["task"])
    if official is None or not card["n_failed"]:
        return None
    return (
        f"warning: {card['n_failed']:,} of the {official.n_samples:,} rows of {official.name} "
        "cannot be read (failures.csv). They get no answer, so that no Matbench submission will "
        "be written."
    )


def _crystal_or_failure(cell: object) -> CrystalArrays | Failure:
    """Cells that were JSON objects are parsed already; what else there is gets its reason here."""
    return cell if isinstance(cell, CrystalArrays | Failure) else parse_or_failure(cell)


def _is_larger(cell: CrystalArrays | Failure, max_atoms: int | None) -> bool:
    return (
        max_atoms is not None and isinstance(cell, CrystalArrays) and len(cell.numbers) > max_atoms
    )


def _columns(table: SplitTable, target: str | None, path: Path) -> tuple[int, int]:
    """Positions of the structure and the target column."""
    names = ", ".join(table.columns)
    if STRUCTURE_COLUMN not in table.columns:
        raise FoldwiseError(
            f"there is no column {STRUCTURE_COLUMN!r} (columns: {names})",
            where=str(path),
            hint="Name the column of pymatgen dicts so.",
        )
    others = [name for name in table.columns if name != STRUCTURE_COLUMN]
    if target is None and len(others) != 1:
        raise FoldwiseError(
            f"{len(others)} columns could be the target (columns: {names})",
            where=str(path),
            hint="Name one of them as the target.",
        )
    chosen = others[0] if target is None else target
    if chosen not in others:
        raise FoldwiseError(
            f"there is no target column {chosen!r} (columns: {names})",
            where=str(path),
            hint="Name one of these as the target.",
        )
    return table.columns.index(STRUCTURE_COLUMN), table.columns.index(chosen)


def _judge(
    ids: Sequence[str],
    structures: Sequence[CrystalArrays | Failure],
    targets: Sequence[object],
    workers: int,
) -> tuple[list[_Row], list[_Rejected]]:
    accepted: list[_Row] = []
    rejected: list[_Rejected] = []
    verdicts = _examine_all(structures, workers)
    for name, crystal, target, verdict in zip(ids, structures, targets, verdicts, strict=True):
        number = _finite(target)
        if number is None:
            rejected.append(_Rejected(name, _STAGE, BAD_TARGET, _shown(target)))
        elif isinstance(crystal, Failure):
            rejected.append(_Rejected(name, _STAGE, crystal.reason, crystal.detail))
        elif isinstance(verdict, Failure):
            rejected.append(_Rejected(name, _STAGE, verdict.reason, verdict.detail))
        else:
            accepted.append(_Row(name, crystal, verdict, number))
    return accepted, rejected


def _shown(target: object) -> str:
    try:
        return repr(target)[:80]
    except ValueError:  # an integer of thousands of digits
        return "an integer beyond floats"


def _classes_as_numbers(targets: list[object]) -> list[object]:
    """A column of truth values, as Matbench's is_metal, as 0 and 1; any other column as it is.

    Rows without a value do not make it another column.
    """
    given = [target for target in targets if target is not None]
    if all(isinstance(target, bool) for target in given):
        return [None if target is None else float(bool(target)) for target in targets]
    return targets


def _finite(value: object) -> float | None:
    """The target as a float; None for text, truth values, null, NaN, and what is too large."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return usable_target(float(value))
    except OverflowError:  # an integer beyond floats
        return None


def _examine_all(
    structures: Sequence[CrystalArrays | Failure], workers: int
) -> Iterable[Descriptors | Failure]:
    if workers <= 1:
        return map(_examine, structures)
    with worker_pool(workers, "spawn") as pool:
        return list(pool.map(_examine, structures, chunksize=_CHUNK))


def _examine(crystal: CrystalArrays | Failure) -> Descriptors | Failure:
    if isinstance(crystal, Failure):
        return crystal
    try:
        check_crystal(crystal)
    except CrystalError as error:
        return error.failure
    return describe(crystal)


def _targets_table(accepted: Sequence[_Row]) -> pd.DataFrame:
    table = pd.DataFrame([row.descriptors for row in accepted])
    table.insert(0, "id", [row.id for row in accepted])
    table["target"] = np.array([row.target for row in accepted], dtype=np.float64)
    return table.astype({"n_atoms": np.int32, "n_elements": np.int32, "spacegroup": np.int32})
