"""The search for a student's soft weight, as the config asks for it."""

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from paths import REPOSITORY


def study_of(**student):
    config = load_config([REPOSITORY / "config" / "config.yaml"])
    config["recipes"]["student"] = {**config["recipes"]["student"], **student}
    return parse_study(config)


def test_one_candidate_per_weight():
    study = study_of(soft_weights=[0.25, 1.0])
    assert study.searches == {"student": ["student_soft_025", "student_soft_100"]}
    weights = [study.recipes[name].teacher.soft_weight for name in study.searches["student"]]
    assert weights == [0.25, 1.0]
    # What an experiment says of itself names all weights that were tried; its fits say which one.
    assert study.resolved("e4")["recipe"]["teacher"]["soft_weight"] == [0.25, 1.0]
    assert study.first_seed("student") == 0
    # A candidate is trained exactly as the recipe: the same hold-out, which its teachers lack.
    assert {study.holdout(name, 0) for name in ("student", "student_soft_025")} == {3}


def test_without_weights_there_is_no_search():
    assert study_of().searches == {}


@pytest.mark.parametrize(
    "student",
    [
        {"teacher": {"ensemble": "e3", "targets": "augmented"}},
        {"teacher": None},
    ],
)
def test_weights_of_rows_that_have_one_target(student):
    with pytest.raises(FoldwiseError) as caught:
        study_of(soft_weights=[0.25, 1.0], **student)
    assert str(caught.value).startswith(
        "recipes.student.soft_weights: it weighs a row's soft target against its label"
    )
