"""Folds by what a user's data need: nothing that must stay together is divided."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GroupKFold, PredefinedSplit, TimeSeriesSplit

from crystal_files import run_script
from foldwise.common.files import write_parquet
from foldwise.tasks.cuts.rule import KINDS, SplitRule, chemical_system
from foldwise.tasks.duplicates.nearness import nearness, with_nearness
from foldwise.tasks.splits import FoldSplit, make_fold
from refusals import message

FORMULAS = [
    "NaCl",
    "KCl",
    "KBr",
    "MgO",
    "CaO",
    "TiO2",
    "Ti2O3",
    "Fe2O3",
    "FeO",
    "CsCl",
    "LiF",
    "ZnS",
]


def crystals(n=60, seed=0):
    chance = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"c{row:03d}" for row in range(n)],
            "formula": chance.choice(FORMULAS, n),
            "spacegroup": chance.choice([225, 221, 62, 136, 166], n),
        }
    )


def every_fold(table, rule, n_folds=4, n_holdouts=2):
    return [
        make_fold(table, "own", fold, n_folds=n_folds, n_holdouts=n_holdouts, rule=rule)
        for fold in range(n_folds)
    ]


def prototype(row):
    counts = {"NaCl": "AB", "TiO2": "AB2", "Ti2O3": "A2B3", "Fe2O3": "A2B3"}
    return counts.get(row.formula, "AB"), row.spacegroup


# What may not be divided, told by other means than the code's.
UNITS = {
    "formula": lambda row: row.formula,
    "chemical_system": lambda row: {"Ti2O3": "TiO2", "Fe2O3": "FeO"}.get(row.formula, row.formula),
    "spacegroup": lambda row: row.spacegroup,
    "prototype": prototype,
}


@pytest.mark.parametrize("kind", UNITS)
def test_no_unit_is_on_both_sides_nor_in_two_hold_outs(kind):
    table = crystals()
    unit = {row.id: UNITS[kind](row) for row in table.itertuples()}
    folds = every_fold(table, SplitRule(kind))
    assert sorted(name for split in folds for name in split.test) == sorted(table["id"])
    for split in folds:
        assert split.kind == kind
        assert not {unit[name] for name in split.test} & {unit[name] for name in split.train}
        held = [{unit[name] for name in part} for part in split.validation]
        assert not set.intersection(*held)


@given(units=st.lists(st.sampled_from("abcdefgh"), min_size=20, max_size=60))
@settings(max_examples=60, deadline=None)
def test_folds_by_a_unit_are_as_even_as_those_of_scikit_learn(units):
    if len(set(units)) < 4:
        return
    table = crystals(len(units)).assign(formula=units)
    sizes = [len(split.test) for split in _test_sides(table)]
    splitter = GroupKFold(3).split(units, groups=units)
    assert sorted(sizes) == sorted(len(test) for _, test in splitter)


def _test_sides(table):
    return every_fold(table, SplitRule("formula"), n_folds=3, n_holdouts=2)


@pytest.fixture
def written(tmp_path):
    """A rule whose table holds the given cells."""

    def write(kind, cells, name="table.csv"):
        table = crystals(len(cells))
        own = pd.DataFrame({"id": table["id"], "mine": cells}).sample(frac=1, random_state=3)
        path = tmp_path / name
        if name.endswith(".csv"):
            own.to_csv(path, index=False)
        else:
            own.to_parquet(path)
        return table, SplitRule(kind, str(path), "mine")

    return write


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_user_s_own_unit_is_never_divided(written, name):
    papers = [f"paper {row % 9}" for row in range(60)]
    table, rule = written("column", papers, name)
    paper = dict(zip(table["id"], papers, strict=True))
    for split in every_fold(table, rule):
        assert not {paper[name] for name in split.test} & {paper[name] for name in split.train}
        assert "value of 'mine', of which there are 9" in split.protocol


def test_folds_in_time_are_those_of_scikit_learn_where_no_two_rows_share_a_time(written):
    years = np.random.default_rng(1).permutation(60)
    table, rule = written("time", years)
    by_time = table["id"].to_numpy()[np.argsort(years)]
    folds = every_fold(table, rule)
    for split, (train, test) in zip(folds, TimeSeriesSplit(4).split(by_time), strict=True):
        assert set(split.train) == set(by_time[train])
        assert set(split.test) == set(by_time[test])


def test_nothing_of_the_test_s_time_or_later_is_trained_on(written):
    dates = [f"20{10 + row % 12}-0{1 + row % 3}-05" for row in range(60)]
    table, rule = written("time", dates)
    date = dict(zip(table["id"], dates, strict=True))
    for split in every_fold(table, rule):
        assert max(date[name] for name in split.train) < min(date[name] for name in split.test)


def test_a_user_s_own_folds_are_taken_as_they_are(written):
    cells = [row % 4 for row in range(60)]
    table, rule = written("file", cells)
    ids = table["id"].to_numpy()
    for split, (train, test) in zip(
        every_fold(table, rule), PredefinedSplit(cells).split(), strict=True
    ):
        assert split.train == tuple(ids[train])
        assert split.test == tuple(ids[test])


def test_the_words_train_and_test_make_one_fold(written):
    cells = ["test" if row % 5 == 0 else ["train", "validation", ""][row % 3] for row in range(60)]
    table, rule = written("file", cells)
    (split,) = every_fold(table, rule, n_folds=1)
    assert split.test == tuple(table["id"][::5])
    assert len(split.train) == 48


def test_a_cluster_that_is_left_out_is_other_chemistry():
    kinds = {"oxide": ["MgO", "CaO", "FeO"], "chloride": ["NaCl", "KCl"], "sulfide": ["ZnS"]}
    formulas = [f for names, n in zip(kinds.values(), (10, 9, 8), strict=True) for f in names * n]
    table = crystals(len(formulas)).assign(formula=formulas)
    folds = every_fold(table, SplitRule("cluster"), n_folds=3)
    number = {name: split.fold for split in folds for name in split.test}
    truth = [next(k for k, names in kinds.items() if f in names) for f in formulas]
    assert adjusted_rand_score(truth, [number[name] for name in table["id"]]) == 1
    assert [len(split.test) for split in folds] == [30, 18, 8]
    assert every_fold(table, SplitRule("cluster"), n_folds=3) == folds


@pytest.mark.parametrize(
    ("kind", "cells", "n_folds", "told"),
    [
        ("spacegroup", None, 9, "5 group(s) by space group cannot make 9 folds"),
        ("official", None, 5, "'own' is no official task"),
        ("cluster", None, 14, "12 composition(s) cannot make 14 clusters"),
        ("column", ["a", "b", ""] * 20, 2, "table.csv column mine: 'c002' has no value"),
        ("time", ["2019", "new"] * 30, 2, "table.csv column mine: 'new' of 'c001' is no time"),
        ("file", ["0", "x"] * 30, 2, "'x' of 'c001' is no fold"),
        ("file", ["0", "2"] * 30, 2, "it holds the folds 0, 2, the study 2"),
        ("file", ["train"] * 60, 2, "it holds the folds none, the study 2"),
    ],
)
def test_a_rule_that_cannot_be_kept_says_why(written, kind, cells, n_folds, told):
    table, rule = written(kind, cells or [""] * 60)
    assert told in message(every_fold, table, rule, n_folds)


def test_a_table_that_lacks_rows_columns_or_repeats_them_is_named(tmp_path):
    table = crystals()
    path = tmp_path / "t.csv"
    rule = SplitRule("column", str(path), "mine")
    assert "the file does not exist" in message(every_fold, table, rule)
    path.write_text("id,other\nc000,1\n")
    assert "no column 'mine' (columns: id, other)" in message(every_fold, table, rule)
    path.write_text("id,mine\nc000,1\n")
    assert "there is no row for 'c001'" in message(every_fold, table, rule)
    path.write_text("id,mine\nc000,1\nc000,1\n")
    assert "'c000' stands twice" in message(every_fold, table, rule)
    path.write_bytes(b"id,mine\nc000,\xe4\n")
    assert "the encoding is not UTF-8" in message(every_fold, table, rule)


def test_the_program_takes_every_kind_that_needs_no_table(tmp_path):
    write_parquet(tmp_path / "targets.parquet", crystals())
    out = tmp_path / "fold_1.json"
    done = run_script(
        "jobs/make_splits.py",
        *("--task", "own", "--fold", 1, "--n-folds", 4, "--kind", "prototype"),
        *("--targets", tmp_path / "targets.parquet", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    split = FoldSplit.read(out)
    assert split.kind == "prototype"
    assert split == every_fold(crystals(), SplitRule("prototype"), n_holdouts=5)[1]


def test_without_a_rule_a_split_file_is_as_it_was(tmp_path):
    """Files that are there stay valid: no new key."""
    split = make_fold(crystals(), "own", 0)
    assert "kind" not in split.as_json()
    same = make_fold(crystals(), "own", 0, rule=SplitRule("random"))
    assert (same.train, same.validation, same.test) == (split.train, split.validation, split.test)


def test_nearness_counts_systems_and_new_elements():
    table = pd.DataFrame({"id": list("abcd"), "formula": ["TiO2", "Ti2O3", "NaCl", "BaTiO3"]})
    split = FoldSplit("own", 0, 2, "", False, True, ("a",), (("a",),), ("b", "c", "d"), "formula")
    counts = nearness(table.set_index("id")["formula"], split)
    assert counts == {"n_test_same_system": 1, "n_test_new_element": 2}
    report = {"folds": [{"fold": 0}], "all_folds": {"n_test": 3}}
    whole = with_nearness(
        report,
        table,
        [
            split,
        ],
    )
    assert whole["kind"] == "formula"
    assert whole["all_folds"] == {"n_test": 3, **counts}


def test_all_kinds_are_tested_here():
    assert {*UNITS, "official", "random", "column", "time", "cluster", "file"} == set(KINDS)
    assert chemical_system("Ti2O3") == "O-Ti"
