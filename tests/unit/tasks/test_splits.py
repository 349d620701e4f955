import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold

from crystal_files import run_script
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json, write_parquet
from foldwise.tasks.cuts.rule import partition
from foldwise.tasks.official import official_folds, official_task
from foldwise.tasks.splits import MATBENCH_SEED, FoldSplit, make_fold


def targets(n, formulas=None):
    names = [f"c{row:03d}" for row in range(n)]
    return pd.DataFrame({"id": names, "formula": formulas or [f"F{row}" for row in range(n)]})


@pytest.mark.parametrize("name", ["matbench_jdft2d", "matbench_phonons", "matbench_mp_e_form"])
def test_own_protocol_is_that_of_the_published_folds(name):
    task = official_task(name)
    ids = np.array([task.crystal_id(row) for row in range(task.n_samples)])
    folds = KFold(5, shuffle=True, random_state=MATBENCH_SEED).split(ids)
    for (train, test), published in zip(folds, official_folds(task), strict=True):
        assert ids[train].tolist() == published["train"]
        assert ids[test].tolist() == published["test"]


@pytest.mark.parametrize("fold", range(5))
def test_official_folds_restricted_to_the_ids_present(fold):
    task = official_task("matbench_jdft2d")
    published = official_folds(task)[fold]
    every = sorted(published["train"] + published["test"])
    for kept, complete in ((every, True), (every[::3], False)):
        table = pd.DataFrame({"id": kept, "formula": [f"F{row % 40}" for row in range(len(kept))]})
        split = make_fold(table, task.name, fold)
        assert list(split.train) == [name for name in published["train"] if name in set(kept)]
        assert list(split.test) == [name for name in published["test"] if name in set(kept)]
        assert (split.official, split.complete) == (True, complete)


def test_own_folds_are_those_of_scikit_learn():
    table = targets(103)
    ids = table["id"].to_numpy()
    seen = []
    for fold, (train, test) in enumerate(
        KFold(5, shuffle=True, random_state=MATBENCH_SEED).split(ids)
    ):
        split = make_fold(table, "own", fold)
        assert list(split.train) == ids[train].tolist()
        assert list(split.test) == ids[test].tolist()
        assert (split.official, split.complete) == (False, True)
        seen += split.test
    assert sorted(seen) == sorted(ids)


@given(
    formulas=st.lists(st.sampled_from("ABCDEFGHIJKLMNOP"), min_size=1, max_size=80),
    n_parts=st.integers(1, 6),
    seed=st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_partition_by_formula(formulas, n_parts, seed):
    ids = [f"c{row}" for row in range(len(formulas))]
    parts = partition(ids, formulas, n_parts, seed)
    assert len(parts) == n_parts
    assert sorted(name for part in parts for name in part) == sorted(ids)
    formula = dict(zip(ids, formulas, strict=True))
    owners = [{formula[name] for name in part} for part in parts]
    assert sum(map(len, owners)) == len(set(formulas))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= max(map(formulas.count, formulas))
    if 2 <= n_parts <= len(set(formulas)):
        cut = GroupKFold(n_parts).split(ids, groups=formulas)
        assert sorted(sizes) == sorted(len(part) for _, part in cut)
    positions = [[ids.index(name) for name in part] for part in parts]
    assert all(position == sorted(position) for position in positions)


@given(
    formulas=st.lists(st.integers(0, 30), min_size=25, max_size=60),
    fold=st.integers(0, 4),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_splits_partition_the_rows(formulas, fold, order):
    table = targets(len(formulas), [str(number) for number in formulas])
    try:
        split = make_fold(table, "own", fold, n_holdouts=3)
    except FoldwiseError as error:
        assert error.what.startswith(f"fold {fold} is empty (hold-out ")  # noqa: PT017
        assert len(set(formulas)) < 10
        return
    assert set(split.train) | set(split.test) == set(table["id"])
    assert not set(split.train) & set(split.test)
    formula = dict(zip(table["id"], table["formula"], strict=True))
    for holdout in range(3):
        fit, validation = split.fit_and_validation(holdout)
        assert sorted(fit + validation) == sorted(split.train)
        assert not {formula[name] for name in fit} & {formula[name] for name in validation}
        assert split.fit_and_validation(holdout + 3) == (fit, validation)
    # The hold-outs depend on which rows train, not on their order.
    shuffled = list(split.train)
    order.shuffle(shuffled)
    again = partition(shuffled, [formula[n] for n in shuffled], 3, MATBENCH_SEED)
    assert [set(part) for part in again] == [set(part) for part in split.validation]


def test_seed_changes_hold_outs():
    ids, formulas = [f"c{row}" for row in range(50)], [f"F{row}" for row in range(50)]
    assert partition(ids, formulas, 5, 0) != partition(ids, formulas, 5, 1)


@pytest.mark.slow  # buys: the program as the rule calls it
def test_program_writes_what_the_reader_reads(tmp_path):
    write_parquet(tmp_path / "targets.parquet", targets(40))
    out = tmp_path / "fold_1.json"
    done = run_script(
        "jobs/make_splits.py",
        *("--task", "own", "--fold", 1, "--n-folds", 4, "--holdouts", 3, "--seed", 7),
        *("--targets", tmp_path / "targets.parquet", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    assert FoldSplit.read(out) == make_fold(targets(40), "own", 1, n_folds=4, n_holdouts=3, seed=7)
    content = json.loads(out.read_text())
    assert content["counts"] == {"rows": 40, "train": 30, "validation": [10, 10, 10], "test": 10}


@pytest.mark.parametrize(
    ("table", "task", "changes", "line"),
    [
        (
            targets(40),
            "own",
            {"fold": 5},
            "own fold 5: there is no such fold. Use folds 0 to 4.",
        ),
        (
            targets(3),
            "own",
            {},
            "own fold 0: 3 rows cannot make 5 folds. "
            "Use at least 2 folds and no more than there are rows.",
        ),
        (
            targets(40, ["A", "B"] * 20),
            "own",
            {},
            "own fold 0: fold 0 is empty (hold-out 2). "
            "Use more data, fewer folds or fewer hold-outs (at least 2).",
        ),
        (
            targets(40),
            "own",
            {"n_holdouts": 1},
            "own fold 0: fold 0 is empty (hold-outs). "
            "Use more data, fewer folds or fewer hold-outs (at least 2).",
        ),
        (
            targets(40),
            "matbench_jdft2d",
            {"n_folds": 3},
            "matbench_jdft2d fold 0: 3 folds of an official task. Use 5 folds.",
        ),
        (
            targets(40),
            "matbench_jdft2d",
            {},
            "matbench_jdft2d: 40 id(s) are in no published fold, the first is 'c000'. "
            "Use the official ids, or a task name of your own.",
        ),
        (
            pd.DataFrame(
                {
                    "id": official_folds(official_task("matbench_jdft2d"))[0]["train"][:40],
                    "formula": [f"F{row}" for row in range(40)],
                }
            ),
            "matbench_jdft2d",
            {},
            "matbench_jdft2d fold 0: fold 0 is empty (test). "
            "Use more data, fewer folds or fewer hold-outs (at least 2).",
        ),
    ],
)
def test_impossible_folds(table, task, changes, line):
    with pytest.raises(FoldwiseError) as caught:
        make_fold(table, task, **{"fold": 0, **changes})
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"test": []}, "fold 0 is empty (test). "),
        ({"validation": [["c000"], []]}, "fold 0 is empty (hold-out 1). "),
        ({"validation": [["c000"], ["c001"]]}, "the hold-outs of fold 0 do not partition its "),
        ({"test": ["c000"]}, "row(s) of fold 0 are in train and test, or twice in test. "),
        ({"train": None}, "the key 'train' is missing. Make the split again."),
    ],
)
def test_damaged_split_file(tmp_path, change, what):
    content = {**make_fold(targets(20), "own", 0).as_json(), **change}
    if change.get("test") == ["c000"]:
        content["test"] = content["train"][:1]
    content = {key: value for key, value in content.items() if value is not None}
    write_json(tmp_path / "fold_0.json", content)
    with pytest.raises(FoldwiseError) as caught:
        FoldSplit.read(tmp_path / "fold_0.json")
    assert what in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'fold_0.json'}: ")
