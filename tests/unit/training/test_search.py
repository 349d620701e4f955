"""The choice of a soft weight by the hold-out."""

import json

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json
from foldwise.study.recipe import Recipe, Teacher
from foldwise.training.search import adopted, choose_soft_weight

RECORD = {
    "task": "t", "fold": 0, "seed": 0, "holdout": 3, "n_train": 9, "passes": 90,
}  # fmt: skip


def fit_file(folder, weight, val_mae, **changes):
    path = folder / f"{weight}.json"
    hyperparams = {"epochs": 10, "teacher.soft_weight": weight}
    write_json(path, RECORD | {"val_mae_at_best": val_mae, "hyperparams": hyperparams} | changes)
    return path


def test_the_smallest_validation_error_wins_and_the_smaller_weight_of_two(tmp_path):
    maes = {1.0: 0.3, 0.75: 0.1, 0.25: 0.2, 0.5: 0.1}
    choice = choose_soft_weight([fit_file(tmp_path, *pair) for pair in maes.items()])
    assert choice["soft_weight"] == 0.5
    assert [entry["soft_weight"] for entry in choice["tried"]] == [0.25, 0.5, 0.75, 1.0]
    assert (choice["seed"], choice["holdout"], choice["tried"][0]["passes"]) == (0, 3, 90)


@pytest.mark.parametrize(
    "changes",
    [
        {"holdout": 2},
        {"hyperparams": {"epochs": 11, "teacher.soft_weight": 0.5}},
    ],
)
def test_trainings_that_differ_in_more_are_not_compared(tmp_path, changes):
    fits = [fit_file(tmp_path, 0.25, 0.2), fit_file(tmp_path, 0.5, 0.1, **changes)]
    with pytest.raises(FoldwiseError, match=r"in more than the soft weight"):
        choose_soft_weight(fits)


def test_a_recipe_adopts_the_choice(tmp_path):
    path = tmp_path / "choice.json"
    path.write_text(json.dumps({"soft_weight": 0.75}))
    student = Recipe(teacher=Teacher(ensemble="e3"))
    assert adopted(student, path).teacher.soft_weight == 0.75
    assert adopted(student, None) is student
    with pytest.raises(FoldwiseError, match="a soft weight belongs to a recipe with a teacher"):
        adopted(Recipe(), path)
