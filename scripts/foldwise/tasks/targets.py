"""Datasets without structures: id, composition and target of each row.

The target is a number, or a class, which becomes 0 or 1. A study of recorded teachers trains
nothing, so it needs no crystal structures: the table is read from a CSV, or taken from the official
file, whose structures are then used for their composition alone. Columns that only a structure can
tell are "unknown".
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, write_csv, write_json, write_parquet
from foldwise.common.tables import csv_table
from foldwise.crystals.descriptors import anion_family, reduced_formula
from foldwise.crystals.names import UNKNOWN_SYSTEM
from foldwise.tasks.identifiers import crystal_ids
from foldwise.tasks.matbench_json import read_split_json
from foldwise.tasks.official import OfficialTask, any_official_task
from foldwise.tasks.sources import MATBENCH_CITATION, MATBENCH_LICENCE, locate_official

BAD_TARGET = "target is not a finite number"
"""Reason of a row whose target cannot be used."""
LARGEST_TARGET = 1e30  # what is beyond stands for "unknown", and its spread is beyond floats
COMPOSITION_COLUMN = "composition"
_AMOUNT = re.compile(r"([A-Z][a-z]?)(\d+)")
_NOTES = "No structures: composition and target alone; what only a structure can tell is unknown."
_CLASSES = {"True": 1.0, "False": 0.0}
_FAILURES = ("id", "stage", "reason", "detail")


@dataclass(frozen=True)
class TargetSpec:
    """What the config says about a table of targets.

    Attributes:
        task: Task name.
        target: Column of the target; None takes the only one beside id and composition.
        unit: Unit of the target.
        intensive: True where the target does not grow with the cell.
        target_name: What the target is called in reports.
    """

    task: str
    target: str | None
    unit: str
    intensive: bool
    target_name: str


@dataclass(frozen=True)
class _Raw:
    """Rows before they are judged: labels, compositions as text, targets as they stand."""

    labels: list[Any]
    compositions: list[str]
    targets: list[Any]
    source: str
    sha256: str
    where: str


def prepare_targets(
    spec: TargetSpec, path: str | os.PathLike[str] | None, out_dir: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write targets.parquet, failures.csv and card.json of a task without structures.

    Args:
        spec: The task.
        path: CSV (also gzipped) with id first, `composition` ("K4 Mn4 O8") and the target; `None`
            takes compositions and targets from the official file, downloading it if needed.
        out_dir: Folder of the three files.

    Returns:
        The card.

    Raises:
        FoldwiseError: The file as a whole cannot be used, or every row failed.
    """
    official = any_official_task(spec.task)
    raw = _from_official(spec.task, official) if path is None else _from_csv(Path(path), spec)
    read = _written_atoms if official and official.input_type == COMPOSITION_COLUMN else _atoms
    ids = crystal_ids(raw.labels, spec.task, raw.where)
    accepted: list[dict[str, Any]] = []
    rejected: list[tuple[str, str, str, str]] = []
    elements: set[int] = set()
    for name, text, target in zip(ids, raw.compositions, raw.targets, strict=True):
        number, atoms = _finite(target), read(text)
        if number is None:
            rejected.append((name, "dataset", BAD_TARGET, repr(target)[:80]))
        elif atoms is None:
            rejected.append((name, "dataset", "composition cannot be read", repr(text)[:80]))
        else:
            elements.update(z for z, _ in atoms)
            accepted.append({"id": name, **_description(atoms, text), "target": number})
    if not accepted:
        raise FoldwiseError(
            f"none of {len(ids)} rows can be used",
            where=raw.where,
            hint='Write compositions as "K4 Mn4 O8" and targets as numbers.',
        )
    table = pd.DataFrame(accepted).astype(
        {"n_atoms": np.int32, "n_elements": np.int32, "spacegroup": np.int32, "target": np.float64}
    )
    official = any_official_task(spec.task)
    card = dataset_card(
        spec,
        table["target"].to_numpy(),
        len(rejected),
        source=raw.source,
        sha256=raw.sha256,
        licence=MATBENCH_LICENCE if official else "not stated",
        citation=f"{MATBENCH_CITATION}; {official.reference}" if official else "not stated",
        official=official is not None,
        n_elements=len(elements),
        max_atoms=int(table["n_atoms"].max()),
        notes=_NOTES,
    )
    folder = Path(out_dir)
    write_parquet(folder / "targets.parquet", table)
    write_csv(folder / "failures.csv", pd.DataFrame(rejected, columns=list(_FAILURES)))
    write_json(folder / "card.json", card)
    return card


def _from_csv(path: Path, spec: TargetSpec) -> _Raw:
    table = csv_table(
        path, absent="Correct targets_dir, or leave it out to download the official file."
    )
    names = list(table.columns)
    others = [name for name in names[1:] if name != COMPOSITION_COLUMN]
    target = spec.target or (others[0] if len(others) == 1 else None)
    if COMPOSITION_COLUMN not in names or target not in others:
        raise FoldwiseError(
            f"the columns are {', '.join(names)}",
            where=str(path),
            hint=f"Needed: the id first, {COMPOSITION_COLUMN}, and the target "
            f"({spec.target or 'one more column'}).",
        )
    return _Raw(
        labels=table.iloc[:, 0].tolist(),
        compositions=table[COMPOSITION_COLUMN].tolist(),
        targets=table[target].tolist(),
        source=f"targets: {path.name} (id, composition, target)",
        sha256=file_sha256(path),
        where=str(path),
    )


def _from_official(task: str, official: OfficialTask | None) -> _Raw:
    if official is None:
        raise FoldwiseError(
            f"{task!r} is no official Matbench task, so nothing can be downloaded",
            where="targets_dir",
            hint=f"Give the folder that holds {task}.csv.gz.",
        )
    source = locate_official(official)
    table = read_split_json(source.path, structure_composition)
    given, target = table.columns.index(official.input_type), table.columns.index(official.target)
    return _Raw(
        labels=table.index,
        compositions=[str(row[given]) for row in table.rows],
        targets=[row[target] for row in table.rows],
        source=source.description,
        sha256=source.sha256,
        where=str(source.path),
    )


def structure_composition(structure: Mapping[str, Any]) -> str:
    """Composition of a pymatgen structure dict as text, "K4 Mn4 O8"; empty where it has none."""
    amounts: Counter[str] = Counter()
    for site in structure.get("sites", ()):
        for species in site.get("species", ()):
            if species.get("occu") != 1:
                return ""
            amounts[str(species.get("element"))] += 1
    return " ".join(f"{element}{count}" for element, count in amounts.items())


def _written_atoms(text: str) -> tuple[tuple[int, float], ...] | None:
    """As `_atoms`, of a chemical formula such as "Ag(AuS)2" or "Fe0.62C0.38"."""
    try:
        with warnings.catch_warnings():
            # Light noble gases have no electronegativity; pymatgen says so.
            warnings.simplefilter("ignore", UserWarning)
            amounts = Composition(text).get_el_amt_dict()
        return (
            tuple(sorted((Element(symbol).Z, count) for symbol, count in amounts.items())) or None
        )
    except ValueError:
        return None


def _atoms(text: str) -> tuple[tuple[int, float], ...] | None:
    """(atomic number, count) of each element of "K4 Mn4 O8"; None where it is no composition."""
    amounts: Counter[int] = Counter()
    for part in text.split():
        found = _AMOUNT.fullmatch(part)
        if found is None or not Element.is_valid_symbol(found[1]) or int(found[2]) < 1:
            return None
        amounts[Element(found[1]).Z] += int(found[2])
    return tuple(sorted(amounts.items())) or None


def _description(atoms: Sequence[tuple[int, float]], text: str) -> dict[str, Any]:
    """Columns of a row; without whole numbers of atoms the formula stays as it is written."""
    whole = tuple((number, int(count)) for number, count in atoms if count == int(count))
    if len(whole) < len(atoms):
        whole, formula = (), text.strip()
    else:
        formula = reduced_formula(whole)
    return {
        "formula": formula,
        "n_atoms": sum(count for _, count in whole),
        "n_elements": len(atoms),
        "anion_family": anion_family(np.array([z for z, _ in atoms], dtype=np.int32)),
        "crystal_system": UNKNOWN_SYSTEM,
        "spacegroup": 0,
    }


def _finite(value: object) -> float | None:
    if str(value) in _CLASSES:
        return _CLASSES[str(value)]
    try:
        number = float(str(value))
    except ValueError:
        return None
    return usable_target(number)


def usable_target(number: float) -> float | None:
    """The target; None for NaN, infinities and placeholders beyond `LARGEST_TARGET`."""
    return number if abs(number) <= LARGEST_TARGET else None


def dataset_card(
    spec: TargetSpec,
    targets: NDArray[np.float64],
    n_failed: int,
    *,
    source: str,
    sha256: str,
    licence: str,
    citation: str,
    official: bool,
    n_elements: int,
    max_atoms: int,
    notes: str,
) -> dict[str, Any]:
    """`card.json` of a task; `targets` are those of the accepted rows, shape [n]."""
    return {
        "task": spec.task,
        "source": source,
        "source_sha256": sha256,
        "licence": licence,
        "citation": citation,
        "target_name": spec.target_name,
        "unit": spec.unit,
        "intensive": spec.intensive,
        "official": official,
        "n_source": len(targets) + n_failed,
        "n_accepted": len(targets),
        "n_failed": n_failed,
        "target_min": float(targets.min()),
        "target_max": float(targets.max()),
        "target_mean": float(targets.mean()),
        "target_std": float(targets.std()),
        "n_elements": n_elements,
        "max_atoms": max_atoms,
        "notes": notes,
    }
