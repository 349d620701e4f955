"""Controls with as many passes as what they control."""

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.study.passes import passes_per_epoch
from paths import REPOSITORY


def study_of(name=None, **changes):
    files = ["config.yaml", *([name] if name else [])]
    config = load_config([REPOSITORY / "config" / file for file in files])
    for key, value in changes.items():
        config[key] = {**config[key], **value}
    return parse_study(config)


def passes(study, experiment):
    """Passes per row to fit of all models of a fold."""
    entry = study.experiments[experiment]
    recipe = study.recipes[entry.recipe]
    return len(entry.seeds) * recipe.epochs * passes_per_epoch(recipe, study.copies["copies"])


@pytest.mark.parametrize("name", [None, "matbench_mp_e_form.yaml", "mp_e_form_small.yaml"])
def test_labels_only_has_the_passes_of_student_and_teachers_in_every_study(name):
    study = study_of(name)
    for control, both in (
        ("labels_only", ("e3", "e4")),
        ("labels_only_scratch", ("e3_scratch", "e4_scratch")),
    ):
        assert passes(study, control) == sum(passes(study, other) for other in both)
    # Three teachers, and a student of five rows where each teacher has one.
    assert study.recipes["scratch_labels_only"].epochs == 8 * study.recipes["scratch"].epochs


def test_all_arms_of_the_study_of_soft_targets_are_equal():
    study = study_of("distillation_mp_e_form.yaml")
    arms = [name for name in study.names if name not in ("e0_scratch", "e3_scratch")]
    assert len(arms) == 6
    recipes = {name: study.recipes[study.experiments[name].recipe] for name in arms}
    assert {passes(study, name) for name in arms} == {passes(study, "e3_scratch")}
    assert {recipe.loss for recipe in recipes.values()} == {"huber"}
    assert {recipe.lr for recipe in recipes.values()} == {study.recipes["scratch"].lr}
    for entry in study.experiments.values():
        assert len(entry.replicate_seeds) == 3
    holdouts = {
        study.holdout(study.experiments[name].recipe, seed)
        for name in arms
        for seed in study.experiments[name].all_seeds
    }
    assert holdouts == {3}


def test_patience_keeps_its_share():
    recipe = study_of().recipes["labels_only"]
    assert (recipe.epochs, recipe.patience) == (32, 16)


def test_a_consistency_counts_both_views():
    study = study_of()
    plain, twice = study.recipes["ssa"], study.recipes["ssa_consistency"]
    assert (passes_per_epoch(plain, 4), passes_per_epoch(twice, 4)) == (1, 2)


@pytest.mark.parametrize(
    ("passes_of", "line"),
    [
        ("e9", "recipes.labels_only.passes_of: unknown name 'e9'. Allowed: e0, e1, "),
        ("labels_only", "recipes.labels_only.passes_of: it takes its passes from itself. Give "),
        ("e5", "recipes.labels_only.passes_of: e5 begins with a joint pretraining, whose rows "),
    ],
)
def test_passes_that_cannot_be_counted(passes_of, line):
    with pytest.raises(FoldwiseError) as caught:
        study_of(recipes={"labels_only": {"extends": "baseline", "passes_of": passes_of}})
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("rows", [50, 400, 4000, 40_000])
def test_a_control_of_trainings_bounded_by_steps_has_their_passes(rows):
    bound = {"epochs": 40, "steps": 2000, "batch_size": 16}
    study = study_of(recipes={"baseline": {"extends": None, **bound}})
    total = 0
    for name in ("e3", "e4", "labels_only"):
        entry = study.experiments[name]
        recipe = study.recipes[entry.recipe]
        epochs = len(entry.seeds) * recipe.bounded(rows).epochs
        total += -epochs if name == "labels_only" else epochs
    assert study.recipes["labels_only"].steps == 8000
    assert 0 <= total <= 3  # each of four trainings is rounded up to whole epochs


def test_steps_of_all_or_of_none():
    with pytest.raises(FoldwiseError) as caught:
        study_of(
            recipes={
                "baseline": {"epochs": 8},
                "student": {"extends": "baseline", "teacher": {"ensemble": "e3"}, "steps": 90},
            }
        )
    assert str(caught.value).startswith("recipes.labels_only.passes_of: some of their recipes")
