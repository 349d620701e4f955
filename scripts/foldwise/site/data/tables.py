"""Test rows in the order of the dataset, and structures and their copies, for the browser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import read_parquet
from foldwise.crystals.files import read_structures
from foldwise.crystals.names import copied_crystal, copy_number
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.columns import (
    code_column,
    number_column,
    quantum_of,
    text_column,
    whole_column,
)
from foldwise.site.data.scripts import write_script
from foldwise.site.reading.experiments import ExperimentFolder
from foldwise.tasks.duplicates.structures import STRUCTURE

NEVER_TESTED = -1
MEMBER_SHARD = 5_000
"""Crystals whose members' answers are in one file."""
SHARD = 500
"""Crystals in one file."""
_COORDINATES, _LATTICE = 5, 6  # decimals of fractions of a cell edge, and of Å


def write_rows(
    site: Path, targets: pd.DataFrame, experiments: Sequence[ExperimentFolder]
) -> pd.DataFrame:
    """Write `rows.js`: every crystal of the dataset with target, fold and groups.

    Returns:
        The dataset, indexed by id, with the columns `fold` and those of the groups.
    """
    tested = pd.concat([each.rows for each in experiments]).drop_duplicates("id").set_index("id")
    kinds = sorted({kind for each in experiments for kind in each.group_kinds})
    table = targets.set_index("id")
    fold = tested["fold"].reindex(table.index).fillna(NEVER_TESTED).astype(int)
    columns: dict[str, Any] = {
        "id": text_column([str(name) for name in table.index]),
        "formula": text_column([str(formula) for formula in table["formula"]]),
        "target": number_column(table["target"], quantum_of(table["target"])),
        "fold": whole_column(fold),
        "n_atoms": whole_column(table["n_atoms"]),
    }
    if "spacegroup" in table and table["spacegroup"].gt(0).any():
        columns["spacegroup"] = whole_column(table["spacegroup"])
    groups = {
        # The quintile is of the tested rows alone; all other kinds are facts of the crystal.
        kind: (table[kind] if kind in table else tested[kind].reindex(table.index)).fillna("")
        for kind in kinds
    }
    coded = {kind: [_level(value) for value in values] for kind, values in groups.items()}
    columns |= {kind: code_column(values) for kind, values in coded.items()}
    write_script(site, "rows", {"columns": columns, "kinds": kinds})
    return table.assign(fold=fold)


def _level(value: object) -> str:
    """A group's value as `groups/_index.csv` has it: a whole number without a decimal point."""
    return str(int(value)) if isinstance(value, float) else str(value)


def write_answers(
    site: Path, root: Path, experiment: ExperimentFolder, table: pd.DataFrame
) -> None:
    """Write `answers_{experiment}.js`, and `members_{experiment}_{shard}.js` of several members.

    Row `r` of the dataset is in shard `r // MEMBER_SHARD`: members are read crystal by crystal.
    """
    rows = experiment.rows.set_index("id").reindex(table.index)
    quantum = quantum_of(table["target"])
    columns = {"prediction": number_column(rows["prediction"], quantum)}
    if rows["std"].notna().any():
        columns["std"] = number_column(rows["std"], quantum / 10)
    views = view_spread(root, experiment)
    if views is not None:
        columns["view_std"] = number_column(views.reindex(table.index), quantum / 10)
    write_script(site, f"answers_{experiment.name}", {"columns": columns})
    if experiment.record["ensemble"] is None:
        return
    members = experiment.members.reindex(table.index)
    for start in range(0, len(members), MEMBER_SHARD):
        part = members.iloc[start : start + MEMBER_SHARD]
        write_script(
            site,
            f"members_{experiment.name}_{start // MEMBER_SHARD}",
            {"columns": {str(name): number_column(part[name], quantum) for name in part}},
        )


def view_spread(root: Path, experiment: ExperimentFolder) -> pd.Series[float] | None:
    """Standard deviation over views by id, the mean over seeds; `None` without views.

    Args:
        root: `results`, or `results/{run}`.
        experiment: The experiment.
    """
    views = int(experiment.record["hyperparams"].get("tta") or 1)
    if views == 1:
        return None
    task = root / "predictions" / str(experiment.record["recipe"]) / str(experiment.record["task"])
    files = [
        path
        for seed in experiment.record["seeds"]
        for path in sorted(task.glob(f"fold_*/seed_{seed}/tta_{views}/test.parquet"))
    ]
    if not files:
        return None
    table = pd.concat([read_parquet(path, ("id", "view_std")) for path in files])
    return table.groupby("id")["view_std"].mean()


def write_structures(site: Path, ids: Sequence[str], path: Path) -> int:
    """Write `structures_{shard}.js`: row `r` of the dataset is in shard `r // SHARD`.

    Returns:
        The number of crystals with a structure.
    """
    names, crystals = read_structures(path)
    known = dict(zip(names, crystals, strict=True))
    for start in range(0, len(ids), SHARD):
        part = [known.get(name) for name in ids[start : start + SHARD]]
        write_script(site, f"structures_{start // SHARD}", [_plain(crystal) for crystal in part])
    return sum(name in known for name in ids)


def write_copies(site: Path, ids: Sequence[str], path: Path, answers: pd.DataFrame) -> int:
    """Write `copies_{shard}.js`: the copies of each crystal that teachers have labelled.

    Args:
        site: Folder of the site.
        ids: The dataset's rows.
        path: `structures.npz` of the copies, named `{id}#{copy}`.
        answers: The teachers' answers: id of the copy, mean and std over teachers; the mean over
            folds where several folds have labelled it.

    Returns:
        The number of copies.
    """
    names, crystals = read_structures(path)
    labels = {
        str(row["id"]): {key: float(row[key]) for key in ("mean", "std")}
        for row in answers.to_dict("records")
    }
    of_crystal: defaultdict[str, list[Json]] = defaultdict(list)
    for name, crystal in zip(names, crystals, strict=True):
        entry: Json = {"copy": copy_number(name), "structure": _plain(crystal)}
        of_crystal[copied_crystal(name) or name].append(entry | labels.get(name, {}))
    for start in range(0, len(ids), SHARD):
        part = [of_crystal.get(name, []) for name in ids[start : start + SHARD]]
        write_script(site, f"copies_{start // SHARD}", part)
    return len(names)


def _plain(crystal: CrystalArrays | None) -> Json | None:
    """Lattice `[9]` in Å, atomic numbers and fractional coordinates `[3 n]`."""
    if crystal is None:
        return None
    return {
        "lattice": np.round(crystal.lattice, _LATTICE).ravel().tolist(),
        "numbers": crystal.numbers.tolist(),
        "frac": np.round(crystal.frac, _COORDINATES).ravel().tolist(),
    }


def structure_twins(path: Path | None) -> list[tuple[str, str]]:
    """Pairs (test crystal, training crystal) that StructureMatcher finds to be the same."""
    if path is None or not path.is_file():
        return []
    pairs = pd.read_csv(path, dtype={"test_id": str, "train_id": str})
    same = pairs[pairs["kind"] == STRUCTURE]
    return list(zip(same["test_id"], same["train_id"], strict=True))
