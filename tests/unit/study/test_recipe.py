import json
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.network.chgnet import MODELS
from foldwise.study.recipe import ModelName, Recipe, Teacher, parse_recipe

KEYS = ", ".join(field.name for field in fields(Recipe))
TEACHER_KEYS = ", ".join(field.name for field in fields(Teacher))


def line_of(values):
    with pytest.raises(FoldwiseError) as caught:
        parse_recipe(values, "recipes.r")
    return str(caught.value)


def test_what_is_absent_takes_its_default():
    assert parse_recipe({}, "r") == Recipe()
    assert parse_recipe({"teacher": {"ensemble": "e3"}}, "r") == Recipe(teacher=Teacher("e3"))
    assert parse_recipe({"teacher": None}, "r").teacher is None


def test_model_names_are_those_of_the_networks():
    assert set(get_args(ModelName)) == set(MODELS)


def test_whole_numbers_become_floats():
    recipe = parse_recipe({"lr": 1, "warmup": 0}, "r")
    assert (type(recipe.lr), type(recipe.warmup)) == (float, float)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"epoch": 3}, f"recipes.r: unknown key 'epoch'. Allowed: {KEYS}."),
        (
            {"teacher": {"ensemble": "e3", "weight": 1}},
            "recipes.r.teacher: unknown key 'weight'. "
            f"Allowed: {TEACHER_KEYS}.",
        ),
        ({"teacher": {}}, "recipes.r.teacher: key 'ensemble' is missing. Add ensemble: text."),
        ({"teacher": "e3"}, "recipes.r.teacher: 'e3' "
         f"is not accepted. Allowed: key: value pairs of {TEACHER_KEYS}."),
        ([1, 2], f"recipes.r: [1, 2] is not accepted. Allowed: key: value pairs of {KEYS}."),
        (3, f"recipes.r: 3 is not accepted. Allowed: key: value pairs of {KEYS}."),
        ({"epochs": 2.5},
         "recipes.r.epochs: 2.5 is not accepted. Allowed: a whole number of at least 1."),
        ({"epochs": True},
         "recipes.r.epochs: True is not accepted. Allowed: a whole number of at least 1."),
        ({"epochs": "9"},
         "recipes.r.epochs: '9' is not accepted. Allowed: a whole number of at least 1."),
        ({"bootstrap": 1}, "recipes.r.bootstrap: 1 is not accepted. Allowed: true or false."),
        ({"lr": True}, "recipes.r.lr: True is not accepted. Allowed: a number above 0."),
        ({"loss": None}, "recipes.r.loss: None is not accepted. "
         "Allowed: huber, l1, mse, logistic."),
        ({"model": "alignn"}, "recipes.r.model: 'alignn' is not accepted. "
         "Allowed: chgnet, chgnet_lite."),
        ({"consistency": 0.1}, "recipes.r.consistency: it speaks of views, and the recipe has "
         "none. Add augment: {displacement: 0.02, strain: 0.005}."),
        ({"labels": "shifted"}, "recipes.r.labels: it speaks of views, and the recipe has none. "
         "Add augment: {displacement: 0.02, strain: 0.005}."),
        ({"labels": "moved"}, "recipes.r.labels: 'moved' is not accepted. "
         "Allowed: unchanged, shifted."),
        ({"augment": {"perturb": 0.02}}, "recipes.r.augment: unknown key 'perturb'. "
         "Allowed: displacement, strain."),
        ({"augment": {"displacement": 0.2}}, "recipes.r.augment.displacement: 0.2 is not "
         "accepted. Allowed: a number from 0 to 0.1."),
        ({"augment": {"strain": -0.01}}, "recipes.r.augment.strain: -0.01 is not accepted. "
         "Allowed: a number from 0 to 0.02."),
        ({"augment": {}, "consistency": -1.0}, "recipes.r.consistency: -1.0 is not accepted. "
         "Allowed: a number of at least 0."),
        ({"augment": {}, "init": "scratch", "labels": "shifted"}, "recipes.r.labels: the shift is "
         "the pretrained network's word. A training from scratch keeps its labels: labels: "
         "unchanged."),
        ({"pretrain": {"tasks": ["a"]}}, "recipes.r.pretrain.tasks: ['a'] is not accepted. "
         "Allowed: a list of 2 or more different ones, each text."),
        ({"pretrain": {"tasks": ["a", "a"]}}, "recipes.r.pretrain.tasks: 'a' is named twice. "
         "Name each once."),
        ({"pretrain": {"epochs": 2}}, "recipes.r.pretrain: key 'tasks' is missing. "
         "Add tasks: a list of 2 or more different ones, each text."),
        ({"pretrain": {"tasks": ["a", "b"], "epochs": 0}},
         "recipes.r.pretrain.epochs: 0 is not accepted. "
         "Allowed: a whole number of at least 1."),
        ({"init": "zero"}, "recipes.r.init: 'zero' is not accepted. Allowed: pretrained, scratch."),
        ({"loss": "mae"}, "recipes.r.loss: 'mae' is not accepted. "
         "Allowed: huber, l1, mse, logistic."),
        (
            {"model": "chgnet_lite"},
            "recipes.r.init: pretrained weights exist for chgnet, not for chgnet_lite. "
            "Set init: scratch or model: chgnet.",
        ),
        ({"epochs": 0},
         "recipes.r.epochs: 0 is not accepted. Allowed: a whole number of at least 1."),
        ({"batch_size": -1},
         "recipes.r.batch_size: -1 is not accepted. Allowed: a whole number of at least 1."),
        ({"patience": 0},
         "recipes.r.patience: 0 is not accepted. Allowed: a whole number of at least 1."),
        ({"weight_decay": -0.1},
         "recipes.r.weight_decay: -0.1 is not accepted. Allowed: a number of at least 0."),
        ({"weight_decay": float("nan")},
         "recipes.r.weight_decay: nan is not accepted. Allowed: a number of at least 0."),
        ({"lr": 0}, "recipes.r.lr: 0 is not accepted. Allowed: a number above 0."),
        ({"lr": float("nan")}, "recipes.r.lr: nan is not accepted. Allowed: a number above 0."),
        ({"huber_delta": -1},
         "recipes.r.huber_delta: -1 is not accepted. Allowed: a number above 0."),
        ({"clip_norm": 0}, "recipes.r.clip_norm: 0 is not accepted. Allowed: a number above 0."),
        ({"warmup": 1.5}, "recipes.r.warmup: 1.5 is not accepted. Allowed: a number from 0 to 1."),
        ({"ema_decay": -0.1},
         "recipes.r.ema_decay: -0.1 is not accepted. Allowed: a number from 0 to 1."),
        (
            {"teacher": {"ensemble": "e3", "soft_weight": 2}},
            "recipes.r.teacher.soft_weight: 2 is not accepted. Allowed: a number from 0 to 1.",
        ),
        (
            {"teacher": {"ensemble": "e3", "targets": "all"}},
            "recipes.r.teacher.targets: 'all' is not accepted. "
            "Allowed: crossfit, in_sample, augmented, recorded.",
        ),
        (
            {"teacher": {"ensemble": "e3", "weighting": "std"}},
            "recipes.r.teacher.weighting: 'std' is not accepted. Allowed: uniform, disagreement.",
        ),
    ],
)  # fmt: skip
def test_mistakes(values, line):
    assert line_of(values) == line


values = st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=9)
names = st.sampled_from([field.name for field in fields(Recipe)]) | st.text(max_size=6)
teachers = st.dictionaries(
    st.sampled_from([field.name for field in fields(Teacher)]) | st.text(max_size=6), values
)
wild = values | st.lists(values, max_size=2) | teachers
good = st.fixed_dictionaries(
    {},
    optional={
        "init": st.just("scratch"),
        "epochs": st.integers(1, 500),
        "lr": st.floats(1e-9, 1.0),
        "warmup": st.floats(0, 1),
        "loss": st.sampled_from(["huber", "l1", "mse"]),
        "bootstrap": st.booleans(),
        "augment": st.none() | st.builds(dict, displacement=st.floats(0, 0.1)),
        "pretrain": st.none() | st.just({"tasks": ["a", "b"], "epochs": 2}),
        "teacher": st.none() | st.builds(dict, ensemble=st.just("e3"), soft_weight=st.floats(0, 1)),
    },
)


@given(wild | st.dictionaries(names, wild, max_size=4))
def test_any_value_is_a_recipe_or_one_line(content):
    try:
        recipe = parse_recipe(content, "recipes.r")
    except FoldwiseError as error:
        line = str(error)
    else:
        assert parse_recipe(recipe.as_dict(), "again") == recipe
        return
    assert line.startswith("recipes.r")
    assert len(line.splitlines()) == 1


@given(good)
def test_a_recipe_survives_json(content):
    recipe = parse_recipe(content, "r")
    assert parse_recipe(json.loads(json.dumps(recipe.as_dict())), "r") == recipe


@pytest.mark.parametrize(
    ("rows", "epochs"),
    [(10, 60), (16, 60), (160, 50), (161, 46), (8000, 1), (10**6, 1)],
)
def test_steps_bound_the_passes_over_the_rows(rows, epochs):
    recipe = Recipe(epochs=60, batch_size=16, steps=500)
    assert recipe.bounded(rows).epochs == epochs
    assert Recipe(epochs=60).bounded(rows) == Recipe(epochs=60)


def test_only_a_recipe_with_a_bound_of_steps_speaks_of_it():
    assert "steps" not in Recipe().as_dict()
    assert Recipe(steps=7).as_dict()["steps"] == 7
    assert parse_recipe(Recipe(steps=7).as_dict(), "r") == Recipe(steps=7)
