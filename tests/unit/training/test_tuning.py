"""The search for a recipe: within its budget, resumable, blind to the test rows."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from crystal_files import small_store
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json, write_parquet
from foldwise.network.machine import Machine
from foldwise.network.transform import compositions
from foldwise.study.recipe import Recipe, Teacher
from foldwise.study.tuned import tuned_options
from foldwise.tasks.splits import FoldSplit, make_fold
from foldwise.training.files import TrainingFiles
from foldwise.training.job import TrainingJob, open_fold
from foldwise.training.tuning import Tuning, search, trial_steps, trial_table
from foldwise.training.tuning_files import seconds_of, title_of, write_pages

# So short that every trial is the shortest one, whatever the machine.
BUDGET = 2.0
RECIPE = Recipe(model="chgnet_lite", init="scratch", epochs=200, batch_size=16, lr=5e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    store = small_store(folder / "graphs", 40)
    targets = compositions(store) @ np.arange(1, 95) / 10
    table = pd.DataFrame({"id": store.ids, "formula": store.ids, "target": targets})
    write_parquet(folder / "targets.parquet", table)
    split = make_fold(table[["id", "formula"]], "mine", 0, n_folds=5, n_holdouts=4, seed=0)
    write_json(folder / "fold_0.json", split.as_json())
    return folder


def tuning_in(folder, out, budget=BUDGET, recipe=RECIPE, targets="targets.parquet"):
    files = TrainingFiles(folder / targets, folder / "graphs", folder / "fold_0.json")
    job = TrainingJob("baseline", recipe, "standardize", Machine("cpu", 1))
    return Tuning(files, job, seed=0, holdout=0, budget=budget, out=out)


@pytest.fixture(scope="module")
def searched(folder):
    tuning = tuning_in(folder, folder / "first")
    return tuning, search(tuning)


def values(tuning):
    return trial_table(tuning).set_index("trial")["validation_error"].to_dict()


def test_the_first_trial_is_the_recipe_as_it_is_written(searched):
    tuning, chosen = searched
    first = trial_table(tuning).set_index("trial").loc[0]
    assert (first["lr"], first["init"], first["loss"]) == (RECIPE.lr, "scratch", RECIPE.loss)
    assert chosen["validation_error_as_written"] == first["validation_error"]
    assert chosen["validation_error"] == min(values(tuning).values())


def test_a_trial_has_whole_epochs_and_says_how_many_steps_that_is(searched):
    tuning, chosen = searched
    fold = open_fold(tuning.files, RECIPE, torch.device("cpu"))
    fitted, _ = fold.parts(0)
    per_epoch = math.ceil(len(fitted) / RECIPE.batch_size)
    first = trial_table(tuning).set_index("trial").loc[0]
    assert chosen["steps_of_a_trial"] == first["epochs"] * per_epoch
    for budget in (7.0, 11.0, 13.0, 17.0, 23.0):
        steps = trial_steps(replace(tuning, budget=budget), fold, torch.device("cpu"))
        assert steps % per_epoch == 0


def test_a_second_call_goes_on_and_a_third_of_the_same_budget_does_nothing(folder, searched):
    tuning, chosen = searched
    before = values(tuning)
    longer = replace(tuning, budget=tuning.budget + chosen["spent_s"])
    search(longer)
    after = values(tuning)
    assert len(after) > len(before)
    assert before.items() <= after.items()
    search(longer)
    assert values(tuning) == after


def test_poisoned_test_targets_change_nothing(folder):
    """Within no time at all the search is one trial of the shortest length, on any machine."""
    table = pd.read_parquet(folder / "targets.parquet")
    test = FoldSplit.read(folder / "fold_0.json").test
    assert len(test) > 0
    table.loc[table["id"].isin(test), "target"] = 1e9
    write_parquet(folder / "poisoned.parquet", table)
    found = []
    for name in ("targets", "poisoned"):
        tuning = tuning_in(folder, folder / f"{name}_search", 1e-6, targets=f"{name}.parquet")
        search(tuning)
        found.append(values(tuning))
    assert list(found[0]) == [0]
    assert found[0] == found[1]


def test_a_search_in_a_used_folder_keeps_to_its_own_trials_and_leaves_foreign_files(folder):
    """The table is that of the inputs asked for, not of the last search that was new."""
    table = pd.read_parquet(folder / "targets.parquet")
    write_parquet(folder / "doubled.parquet", table.assign(target=2 * table["target"]))
    out = folder / "shared"
    foreign = out / "trials" / "0" / "notes.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    one, two = (
        tuning_in(folder, out, 1e-6, targets=f"{name}.parquet") for name in ("targets", "doubled")
    )
    search(one)
    first = values(one)
    search(two)
    assert values(two) != first
    search(one)
    assert values(one) == first
    assert foreign.read_text() == "mine"


def test_the_choice_is_written_and_adopted(folder, searched):
    tuning, chosen = searched
    write_pages(tuning.out, chosen, trial_table(tuning), "eV")
    names = {path.name for path in tuning.out.iterdir()}
    assert {"README.txt", "baseline.json", "baseline_trials.csv", "baseline_trials.png"} <= names
    adopted = tuned_options(str(tuning.out / "baseline.json"), "r")
    assert adopted == chosen["chosen"]
    assert set(adopted) == {"init", "lr", "loss", "warmup"}
    text = (tuning.out / "README.txt").read_text()
    assert f"tuned: {tuning.out / 'baseline.json'}" in text
    assert f"{chosen['validation_error']:.4g} eV" in text


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "0.107 eV at lr 0.0034, scratch; as written 0.142"),
        ({"trial": 0}, "Nothing was better than the recipe as written: 0.142 eV"),
        (
            {"validation_error_as_written": None},
            "0.107 eV at lr 0.0034, scratch; the recipe as written did not finish",
        ),
    ],
)
def test_the_figure_s_title_is_what_was_found(changes, title):
    found = {"trial": 6, "validation_error": 0.10697, "validation_error_as_written": 0.14213,
             "chosen": {"lr": 0.00335, "init": "scratch"}}  # fmt: skip
    assert title_of({**found, **changes}, "eV") == title


def test_the_recipe_itself_is_tried_in_any_budget(folder):
    tuning = tuning_in(folder, folder / "short", budget=1e-6)
    chosen = search(tuning)
    assert list(values(tuning)) == [0]
    assert chosen["chosen"] == chosen["as_written"]


def test_a_student_is_not_searched(folder):
    student = replace(RECIPE, teacher=Teacher("e3"))
    with pytest.raises(FoldwiseError) as caught:
        search(tuning_in(folder, folder / "student", recipe=student))
    assert str(caught.value).startswith("recipes.baseline: a search trains on labels alone.")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20min", 1200), ("1.5 h", 5400), ("2h", 7200)]
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "0min", "-3s", "1d", "min"])
def test_what_is_no_time(text):
    with pytest.raises(FoldwiseError) as caught:
        seconds_of(text)
    assert str(caught.value) == (f"--budget: {text!r} is no time. Write it as 90s, 20min or 2h.")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "r.tuned: there is no file "),
        ({"chosen": {"epochs": 3}}, "it is not what scripts/search_recipe.py writes"),
        ({}, "it is not what scripts/search_recipe.py writes"),
    ],
)
def test_choices_that_cannot_be_adopted(tmp_path, content, line):
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(json.dumps(content))
    with pytest.raises(FoldwiseError) as caught:
        tuned_options(str(path), "r.tuned")
    assert line in str(caught.value)
