"""Two tasks about the same crystals on disk, with which rows are the same crystal: for E5."""

import gzip
import json

import numpy as np
import pandas as pd

from foldwise.common.files import write_json, write_parquet
from foldwise.crystals.files import write_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.graphs.conversion import build_store
from foldwise.tasks.duplicates.groups import structure_groups
from foldwise.tasks.splits import FoldSplit
from paths import REPOSITORY

COUNT = 24
# Test rows by crystal number: the tasks' folds differ, as Matbench's do.
TEST = {"form": range(4), "gap": range(3, 8)}


def relaxed(number, crystal):
    if number % 2 == 0:
        return crystal
    shifted = (crystal.frac + np.array([0.11, 0.07, 0.05])) % 1
    return CrystalArrays(crystal.numbers, shifted, crystal.lattice * 1.004)


def crystal_files(folder):
    """Two tasks about the same crystals under other ids, task `gap` in another order and size.

    As in two releases of a database, every other cell of `gap` was relaxed again: it is slightly
    larger, and its origin stands elsewhere. Only a matcher finds it to be the same crystal.
    """
    content = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at = content["columns"].index("structure")
    crystals = [parse_structure(row[at]) for row in content["data"][:COUNT]]
    crystals = {"form": crystals, "gap": [relaxed(*each) for each in enumerate(crystals)]}
    formulas = [f"F{number}" for number in range(COUNT)]
    files = {}
    for task, tested in TEST.items():
        order = list(range(COUNT)) if task == "form" else list(reversed(range(2, COUNT)))
        ids = [f"{task}-{number}" for number in order]
        place = folder / task
        place.mkdir(parents=True)
        write_structures(
            place / "structures.npz", ids, [crystals[task][number] for number in order]
        )
        build_store(place / "structures.npz", place / "graphs")
        table = pd.DataFrame(
            {"id": ids, "formula": [formulas[number] for number in order],
             "target": np.linspace(-2, 1, len(ids))}
        )  # fmt: skip
        write_parquet(place / "targets.parquet", table)
        test = tuple(f"{task}-{number}" for number in tested)
        train = tuple(name for name in ids if name not in test)
        split = FoldSplit(
            task, 0, 2, "A test.", False, True, train, (train[2:6], train[:2] + train[6:]), test
        )
        write_json(place / "split.json", split.as_json())
        files[task] = place
    return files, crystals, formulas


def make_house(folder):
    """Write both tasks and `groups.parquet`; returns the tasks' folders and the groups."""
    files, crystals, formulas = crystal_files(folder)
    ids = {
        task: pd.read_parquet(place / "targets.parquet")["id"].tolist()
        for task, place in files.items()
    }

    def number(name):
        return int(name.split("-")[1])

    groups = structure_groups(
        {task: {name: formulas[number(name)] for name in names} for task, names in ids.items()},
        {
            task: {name: crystals[task][number(name)] for name in names}
            for task, names in ids.items()
        },
    )
    write_parquet(folder / "groups.parquet", groups)
    return files, groups
