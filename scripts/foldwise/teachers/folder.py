"""The folder that a program gets: its rows, their structures, and no target of a test row."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.core.structure import Structure

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, read_json, read_parquet
from foldwise.crystals.files import read_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.tasks.splits import FoldSplit

CONTRACT = 1
"""Version of what docs/teachers.md says."""
FIT, VALIDATE, ANSWER = "fit", "validate", "answer"
ROWS, STRUCTURES, CIF = "rows.csv", "structures.json.gz", "cif"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that an archive knows: equal rows give equal bytes


@dataclass(frozen=True)
class TeacherJob:
    """One call of a program.

    Attributes:
        recipe: Name of its recipe.
        seed: Decides what of the program is random.
        holdout: Hold-out of the split that it may validate on and must not fit.
        options: What it is told beside its rows.
        cif: Whether it gets CIF files too.
    """

    recipe: str
    seed: int
    holdout: int
    options: dict[str, Any]
    cif: bool = False


def write_job(
    out: str | os.PathLike[str],
    job: TeacherJob,
    *,
    targets: str | os.PathLike[str],
    card: str | os.PathLike[str],
    structures: str | os.PathLike[str],
    split: str | os.PathLike[str],
    copies: str | os.PathLike[str] | None = None,
) -> None:
    """Write the archive of a job's folder.

    Args:
        out: Archive to write.
        job: What is asked.
        targets: targets.parquet of the task; the targets of test rows are not read on.
        card: card.json of the task.
        structures: structures.npz of the task.
        split: Split file of the fold.
        copies: structures.npz of the copies that the program shall answer too.

    Raises:
        FoldwiseError: A file is missing or damaged, or a row has no structure.
    """
    fold = FoldSplit.read(split)
    rows = job_rows(fold, job.holdout, read_parquet(targets, ("id", "target")))
    ids, crystals = read_structures(structures)
    known = dict(zip(ids, crystals, strict=True))
    if copies is not None:
        asked, changed = read_structures(copies)
        known |= dict(zip(asked, changed, strict=True))
        rows = pd.concat([rows, pd.DataFrame({"id": asked, "part": ANSWER})], ignore_index=True)
    lost = [name for name in rows["id"] if name not in known]
    if lost:
        raise FoldwiseError(
            f"crystal {lost[0]!r} has no structure",
            where=str(structures),
            hint="Make structures and splits from the same dataset.",
        )
    about = read_json(card)
    facts = {
        "contract": CONTRACT,
        "task": fold.task,
        "fold": fold.fold,
        "seed": job.seed,
        "recipe": job.recipe,
        "target": about["target_name"],
        "unit": about["unit"],
        "intensive": bool(about.get("intensive", True)),
        "options": job.options,
        "rows": ROWS,
        "structures": STRUCTURES,
        "cif": CIF if job.cif else None,
    }
    files = {
        "job.json": json.dumps(facts, indent=2).encode(),
        ROWS: rows.to_csv(index=False).encode(),
        STRUCTURES: _matbench_json(rows["id"].tolist(), known),
    }
    if job.cif:
        files |= {f"{CIF}/{name}.cif": _cif(known[name]) for name in rows["id"]}
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)


def job_rows(split: FoldSplit, holdout: int, targets: pd.DataFrame) -> pd.DataFrame:
    """Columns id, part (`fit`, `validate`, `answer`) and target, NaN for rows to answer.

    Args:
        split: The fold.
        holdout: Number of the hold-out.
        targets: Table with id and target.
    """
    fitted, validated = split.fit_and_validation(holdout)
    parts: dict[str, Sequence[str]] = {FIT: fitted, VALIDATE: validated, ANSWER: split.test}
    rows = pd.DataFrame(
        [(name, part) for part, names in parts.items() for name in names], columns=["id", "part"]
    )
    labels = targets.set_index("id")["target"]
    given = labels[labels.index.isin({*fitted, *validated})]
    rows["target"] = given.reindex(rows["id"]).to_numpy(dtype=np.float64)
    return rows


def _structure(crystal: CrystalArrays) -> Structure:
    species = [Element.from_Z(int(number)) for number in crystal.numbers]
    return Structure(Lattice(crystal.lattice), species, crystal.frac)


def _matbench_json(ids: Sequence[str], known: dict[str, CrystalArrays]) -> bytes:
    content = {
        "index": list(ids),
        "columns": ["structure"],
        "data": [[_structure(known[name]).as_dict()] for name in ids],
    }
    return gzip.compress(json.dumps(content).encode(), compresslevel=1, mtime=0)


def _cif(crystal: CrystalArrays) -> bytes:
    return str(_structure(crystal).to(fmt="cif")).encode()
