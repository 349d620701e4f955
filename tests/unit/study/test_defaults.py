"""Recipes of a user's own data."""

import pytest

from foldwise.study.config import parse_study
from foldwise.study.defaults import holdouts, recipes
from foldwise.study.files import load_config
from foldwise.study.passes import passes_per_epoch
from foldwise.study.recipe import Recipe, parse_recipe
from paths import REPOSITORY


@pytest.mark.parametrize(
    ("rows", "parts", "passes"),
    [(50, 4, 150), (400, 4, 150), (6881, 10, 33), (50_000, 10, 10), (500_000, 10, 10)],
)
def test_passes_over_the_rows(rows, parts, passes):
    assert holdouts(rows) == parts
    for name, options in recipes(rows).items():
        recipe = parse_recipe(options, name)
        fitted = rows * 4 // 5 * (parts - 1) // parts
        assert recipe.bounded(fitted).epochs == pytest.approx(passes, abs=1)
        assert 10 <= recipe.patience <= max(10, passes // 3 + 1)


def test_a_study_takes_them():
    config = load_config([REPOSITORY / "config" / "config.yaml"])
    for name, options in recipes(6881).items():
        config["recipes"][name] = {**config["recipes"][name], **options}
    config["splits"]["holdouts"] = holdouts(6881)
    study = parse_study(config)
    assert study.recipes["baseline"] == Recipe(**recipes(6881)["baseline"])
    assert study.recipes["student"].steps == study.recipes["baseline"].steps
    control = study.recipes["labels_only"]
    assert control.steps == 4 * study.recipes["baseline"].steps
    assert passes_per_epoch(control, 4) == 1
