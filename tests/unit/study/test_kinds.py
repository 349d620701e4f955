"""Recipes of other kinds than the network, and experiments that mix them."""

import copy

import pytest
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.study.config import parse_study
from foldwise.study.kinds import NETWORK
from foldwise.study.order import models_of
from foldwise.study.outside.program import PROGRAM
from paths import REPOSITORY

DEFAULT = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
WORDS = {"title": "Something", "purpose": "What is it worth?"}


@pytest.fixture
def config(tmp_path):
    """The default study, a program, a table, an ensemble of both and scratch, and a student."""
    (tmp_path / "teacher.py").write_text("")
    (tmp_path / "own_3.csv").write_text("id,prediction\n")
    made = copy.deepcopy(DEFAULT)
    made["splits"]["only"] = [3]
    made["recipes"] |= {
        "forest": {"model": "program", "command": f"python {tmp_path}/teacher.py"},
        "own": {"model": "predictions", "path": f"{tmp_path}/own_{{fold}}.csv"},
        "cross_student": {
            "extends": "scratch",
            "teacher": {"ensemble": "cross", "targets": "augmented"},
        },
    }
    members = [{"recipe": "scratch", "seeds": [0, 1]}, {"recipe": "forest", "seeds": [1]}]
    made["experiments"] |= {
        "forest": {"recipe": "forest", "seeds": [0], **WORDS},
        "cross": {"members": members, "combine": "stacked", **WORDS},
        "taught": {"recipe": "cross_student", "seeds": [0], **WORDS},
        "with_own": {
            "members": [members[0], {"recipe": "own", "seeds": [0]}],
            "combine": "median",
            **WORDS,
        },
    }
    return made


def line_of(config):
    with pytest.raises(FoldwiseError) as caught:
        parse_study(config)
    return str(caught.value)


def test_kinds_members_and_who_labels_copies(config):
    study = parse_study(config)
    assert study.of_kind(PROGRAM) == ["forest"]
    assert set(study.of_kind(NETWORK)) == set(study.recipes) - {"forest", "own"}
    assert study.own_models("cross") == [("scratch", 0), ("scratch", 1), ("forest", 1)]
    assert study.labels_copies("forest")
    assert not study.labels_copies("own")
    assert study.seeds_of("forest") == [0, 1]
    # The student holds out what none of its teachers, of whatever kind, held out.
    assert study.holdout("cross_student", 0) not in {0, 1}
    assert ("forest", 1) in models_of(study, "taught")


def test_what_decides_a_mixed_experiment_is_resolved(config):
    resolved = parse_study(config).resolved("cross")
    assert [part["recipe"] for part in resolved["recipe"]["members"]] == ["scratch", "forest"]
    assert resolved["recipe"]["members"][1]["how"]["command"].endswith("teacher.py")
    assert resolved["recipe"]["init"] == "scratch"
    taught = parse_study(config).resolved("taught")["recipe"]["teacher"]
    assert taught["members"] == ["scratch_0", "scratch_1", "forest_1"]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("recipes.forest.comand", "x", "recipes.forest: unknown key 'comand'. Allowed: "),
        ("recipes.forest.command", "python gone.py",
         "recipes.forest.command: there is no file 'gone.py'."),
        ("recipes.forest.command", "python 'half", "recipes.forest.command: it cannot be split"),
        ("recipes.forest.environment", "gone.yaml",
         "recipes.forest.environment: there is no file 'gone.yaml'."),
        ("recipes.forest.minutes", 0, "recipes.forest.minutes: 0 is not accepted."),
        ("recipes.own.path", "gone.csv", "recipes.own.path: there is no file 'gone.csv'."),
        ("experiments.cross.members.1.seeds", [2],
         "experiments.cross.members: no training row was held out by a model of every recipe"),
        ("experiments.cross.members.1.recipe", "forrest",
         "experiments.cross.members: unknown name 'forrest'."),
        ("experiments.cross.members.1.recipe", "student",
         "experiments.cross.members: recipe 'student' is a student's."),
        ("experiments.cross.members.1.recipe", "scratch",
         "experiments.cross.members: recipe 'scratch' is named twice."),
        ("experiments.cross.booster", {}, "experiments.cross.booster: settings of a booster"),
        ("recipes.cross_student.teacher.targets", "crossfit",
         "recipes.cross_student.teacher.targets: soft targets 'crossfit' of models"),
        ("recipes.cross_student.teacher.ensemble", "with_own",
         "recipes.cross_student.teacher.ensemble: nobody can ask 'own' about copies"),
        ("recipes.labels_only.passes_of", "forest",
         "recipes.labels_only.passes_of: the models of forest are not trained in passes here."),
    ],
)  # fmt: skip
def test_mistakes_have_a_line(config, path, value, line):
    *parents, last = path.split(".")
    place = config
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    assert line_of(config).startswith(line)
