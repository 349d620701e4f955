from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from crystal_files import (
    SHARED_DATA,
    cesium_chloride,
    needs_shared_data,
    run_script,
    site,
    structure,
)
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.duplicates.nearness import with_nearness
from foldwise.tasks.duplicates.structures import COLUMNS, duplicate_pairs, summarize
from foldwise.tasks.matbench_json import read_split_json
from foldwise.tasks.splits import FoldSplit, make_fold

ROCK_SALT = structure(
    *[site("Cs", *point) for point in [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]],
    *[site("Cl", *point) for point in [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5)]],
    a=7.0,
)


def supercell(crystal, *matrix):
    reference = Structure(crystal.lattice, crystal.numbers.tolist(), crystal.frac)
    reference.make_supercell(list(matrix))
    reference.translate_sites(range(len(reference)), [0.13, 0.21, 0.34])
    return CrystalArrays(
        np.array(reference.atomic_numbers, np.int32),
        reference.frac_coords,
        reference.lattice.matrix.copy(),
    )


@pytest.fixture
def case():
    b2 = parse_structure(cesium_chloride())
    crystals = {
        "a": b2,
        "b": supercell(b2, [1, 1, 0], [0, 1, 0], [0, 0, 2]),
        "c": parse_structure(ROCK_SALT),
        "d": replace(b2, lattice=b2.lattice * 1.05),
        "e": parse_structure(cesium_chloride("Rb")),
        "f": parse_structure(cesium_chloride("K")),
    }
    table = pd.DataFrame(
        {
            "id": list(crystals),
            "formula": ["CsCl"] * 4 + ["RbCl", "KCl"],
            "target": [0.0, 0.5, -2.0, 0.25, 1.0, 1.0],
        }
    )
    split = FoldSplit(
        task="own",
        fold=0,
        n_folds=2,
        protocol="by hand",
        official=False,
        complete=True,
        train=("b", "c", "d", "f"),
        validation=(("b", "c", "d"), ("f",)),
        test=("a", "e"),
    )
    return table, crystals, split


def test_same_structure_is_found_in_another_cell_and_volume(case):
    table, crystals, split = case
    pairs = duplicate_pairs(table, crystals, [split])
    assert pairs.columns.tolist() == COLUMNS
    assert pairs.to_numpy().tolist() == [
        [0, "a", "b", "structure", "CsCl", -0.5],
        [0, "a", "d", "structure", "CsCl", -0.25],
        [0, "a", "c", "formula", "CsCl", 2.0],
    ]
    summary = summarize(pairs, [split])
    assert summary["folds"] == [
        {
            "fold": 0,
            "n_test": 2,
            "n_test_same_formula": 1,
            "n_test_same_structure": 1,
            "fraction_same_formula": 0.5,
            "fraction_same_structure": 0.5,
            "pairs_same_formula": 3,
            "pairs_same_structure": 2,
        }
    ]
    assert summary["all_folds"]["fraction_same_structure"] == 0.5


def test_nothing_in_common(case):
    table, crystals, split = case
    alone = replace(split, train=("f",), validation=(("f",),), test=("e",))
    pairs = duplicate_pairs(table, crystals, [alone])
    assert pairs.empty
    assert summarize(pairs, [alone])["all_folds"]["n_test_same_formula"] == 0


def test_inputs_of_different_datasets(case):
    table, crystals, split = case
    with pytest.raises(FoldwiseError) as caught:
        duplicate_pairs(table, crystals, [replace(split, test=("a", "z"))])
    assert str(caught.value) == (
        "targets, structures, splits: 1 id(s) are not in all inputs, the first is 'z'. "
        "Make the three from the same dataset."
    )


@pytest.mark.slow  # buys: pymatgen's StructureMatcher as oracle, on real pairs
@needs_shared_data
def test_real_pairs_agree_with_stock_structure_matcher():
    path = SHARED_DATA / "matbench" / "matbench_mp_e_form.json.gz"
    name = "matbench_mp_e_form"
    content = read_split_json(path, parse_structure)
    ids = content.index
    by_id = {crystal: row[0] for crystal, row in zip(ids, content.rows, strict=True)}
    reference = {
        crystal: Structure(c.lattice, c.numbers.tolist(), c.frac) for crystal, c in by_id.items()
    }
    table = pd.DataFrame(
        {
            "id": ids,
            "formula": [reference[crystal].composition.reduced_formula for crystal in ids],
            "target": [row[1] for row in content.rows],
        }
    )
    splits = [make_fold(table, name, fold) for fold in range(2)]
    pairs = duplicate_pairs(table, by_id, splits)
    stock = StructureMatcher()
    order = {crystal: row for row, crystal in enumerate(ids)}
    for test, train, kind in pairs[["test_id", "train_id", "kind"]].itertuples(index=False):
        first, second = sorted((test, train), key=order.__getitem__)
        assert stock.fit(reference[first], reference[second]) == (kind == "structure")
    formula = dict(zip(table["id"], table["formula"], strict=True))
    expected = sum(
        formula[test] in {formula[train] for train in split.train}
        for split in splits
        for test in split.test
    )
    assert summarize(pairs, splits)["all_folds"]["n_test_same_formula"] == expected


def test_program(case, tmp_path):
    table, crystals, split = case
    table.to_parquet(tmp_path / "targets.parquet")
    sizes = [len(crystal.numbers) for crystal in crystals.values()]
    np.savez(
        tmp_path / "structures.npz",
        ids=np.array(list(crystals)),
        lattice=np.stack([crystal.lattice for crystal in crystals.values()]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        numbers=np.concatenate([crystal.numbers for crystal in crystals.values()]),
        frac=np.concatenate([crystal.frac for crystal in crystals.values()]),
    )
    write_json(tmp_path / "fold_0.json", split.as_json())
    done = run_script(
        "jobs/report_duplicates.py",
        *("--targets", tmp_path / "targets.parquet"),
        *("--structures", tmp_path / "structures.npz"),
        *("--splits", tmp_path / "fold_0.json"),
        *("--out-json", tmp_path / "duplicates.json"),
        *("--out-csv", tmp_path / "duplicates.csv"),
    )
    assert done.returncode == 0, done.stderr
    pairs = duplicate_pairs(table, crystals, [split])
    written = read_json(tmp_path / "duplicates.json")
    assert written == with_nearness(summarize(pairs, [split]), table, [split])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "duplicates.csv"), pairs)


def test_processes_and_the_size_of_their_tasks_change_nothing(case, monkeypatch):
    table, crystals, split = case
    other = replace(split, fold=1, train=("a", "d", "e"), validation=(("a",), ("d",)), test=("c",))
    alone = duplicate_pairs(table, crystals, [split, other])
    monkeypatch.setattr("foldwise.tasks.duplicates.matching.PAIRS_OF_A_TASK", 1)
    together = duplicate_pairs(table, crystals, [split, other], workers=2)
    pd.testing.assert_frame_equal(together, alone)
    assert set(alone["fold"]) == {0, 1}


def test_no_formula_twice_is_an_empty_table(case):
    table, crystals, split = case
    table = table.assign(formula=[f"X{row}" for row in range(len(table))])
    pairs = duplicate_pairs(table, crystals, [split])
    assert pairs.columns.tolist() == COLUMNS
    assert pairs.empty
