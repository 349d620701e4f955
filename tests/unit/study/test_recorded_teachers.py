"""What a config may say of recorded teachers."""

from copy import deepcopy

import pytest
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.study.config import parse_study
from foldwise.submissions.boosting import BoosterOptions
from foldwise.submissions.settings import RULES
from paths import REPOSITORY

CONFIG = REPOSITORY / "config"
DEFAULT = yaml.safe_load((CONFIG / "config.yaml").read_text())
STUDIES = ("submissions_mp_e_form", "submissions_mp_gap")


def laid_over(base, changes):
    """As Snakemake lays a study file over the default study."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


def config(name=STUDIES[0], **changes):
    study = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    return laid_over(deepcopy(DEFAULT), laid_over(study, changes))


@pytest.mark.parametrize("name", STUDIES)
def test_the_shipped_studies(name):
    study = parse_study(config(name))
    assert study.names == list(study.recorded.combinations) == list(RULES)
    assert not study.experiments
    assert not study.recipes
    for combination in study.recorded.combinations.values():
        assert all(study.recorded.sha256(member) for member in combination.submissions)
        file = study.recorded.file(combination.submissions[0])
        assert file == f"results/downloads/submissions/{combination.submissions[0]}/results.json.gz"
    resolved = study.resolved("boosted")
    assert resolved["recipe"]["booster"] == vars(BoosterOptions())
    assert resolved["task"] == study.task
    assert resolved["parents"] == ["median", "stacked"]
    assert study.resolved("mean")["recipe"]["booster"] is None


def test_folders_on_the_command_line(tmp_path):
    (tmp_path / "submissions").mkdir()
    (tmp_path / "targets").mkdir()
    for name in ("coNGN", "alignn", "GN-OA", "DeeperGATGNN"):
        (tmp_path / "submissions" / name).mkdir()
        (tmp_path / "submissions" / name / "results.json.gz").touch()
    (tmp_path / "targets" / "matbench_mp_e_form.csv.gz").touch()
    given = {name: str(tmp_path / name.removesuffix("_dir")) for name in
             ("submissions_dir", "targets_dir")}  # fmt: skip
    recorded = parse_study(config(**given)).recorded
    assert recorded.file("GN-OA") == f"{tmp_path}/submissions/GN-OA/results.json.gz"
    table = recorded.target_table("matbench_mp_e_form", {"source": "targets"})
    assert table == f"{tmp_path}/targets/matbench_mp_e_form.csv.gz"
    (tmp_path / "submissions" / "GN-OA" / "results.json.gz").unlink()
    with pytest.raises(FoldwiseError, match=r"submissions\.GN-OA: there is no file"):
        parse_study(config(**given))


def test_the_default_study_is_untouched():
    study = parse_study(DEFAULT)
    assert "e0" in study.experiments
    assert not study.recorded.combinations


def test_only_keeps_recipes_that_are_used():
    study = parse_study({**DEFAULT, "only": ["e0", "e3", "e4"]})
    assert set(study.experiments) == {"e0", "e3", "e4"}
    assert set(study.recipes) == {"baseline", "student"}


def test_a_comparison_with_an_experiment_that_is_left_out_is_left_out_too():
    assert DEFAULT["experiments"]["e0_scratch"]["compare_with"] == ["e0"]
    study = parse_study({**DEFAULT, "only": ["e0_scratch"]})
    assert study.names == ["e0_scratch"]
    assert study.resolved("e0_scratch")["parents"] == []
    assert parse_study({**DEFAULT, "only": ["e0", "e4", "e3"]}).resolved("e4")["parents"] == [
        "e0",
        "e3",
    ]
    mistyped = deepcopy(DEFAULT)
    mistyped["experiments"]["e0_scratch"]["compare_with"] = ["e00"]
    with pytest.raises(FoldwiseError, match="unknown name 'e00'"):
        parse_study({**mistyped, "only": ["e0_scratch"]})


def experiment(**changes):
    return {"experiments": {"boosted": changes}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"only": ["e77"]}, "only: unknown experiment 'e77'. Allowed:"),
        ({"only": ["mean", "e0"]}, "experiments.e0: matbench_mp_e_form has no structures to train"),
        (experiment(members={"submissions": ["coNGN", "nobody"]}),
         "experiments.boosted.members.submissions: unknown submission 'nobody'. Allowed: coNGN"),
        (experiment(members={"submission": []}), "experiments.boosted.members: unknown key"),
        (experiment(members={"submissions": ["coNGN"]}), "experiments.boosted.members.submissions"),
        (experiment(members={"submissions": ["coNGN", "coNGN"]}), "'coNGN' is named twice"),
        (experiment(combine="best"), "experiments.boosted.combine: 'best' is not accepted"),
        (experiment(combine="median", booster={"leaves": 4}),
         "experiments.boosted.booster: settings of a booster belong to combine: boosted"),
        (experiment(booster={"depth": 4}), "experiments.boosted.booster: unknown key 'depth'"),
        (experiment(booster={"leaves": 1}),
         "experiments.boosted.booster.leaves: 1 is not accepted"),
        (experiment(seeds=[0]), "experiments.boosted: unknown key 'seeds'. Allowed: members"),
        (experiment(compare_with=["e9"]), "experiments.boosted.compare_with: unknown name 'e9'"),
        ({"submissions": {"coNGN": {"sha256": "12"}}}, "submissions.coNGN.sha256"),
        ({"submissions": {"../x": {}}}, "submissions"),
        ({"submissions": {"coNGN": {"path": "nowhere.gz"}}},
         "submissions.coNGN: there is no file 'nowhere.gz'"),
        ({"submissions_dir": "nowhere"}, "submissions_dir: the folder 'nowhere' does not exist"),
        ({"targets_dir": "nowhere"}, "targets_dir: the folder 'nowhere' does not exist"),
        ({"targets_dir": "config"}, "targets_dir: there is no file"),
        ({"submissions_dir": 3}, "submissions_dir: 3 is not accepted. Allowed: text."),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(changes, line, monkeypatch):
    monkeypatch.chdir(CONFIG.parent)
    with pytest.raises(FoldwiseError) as caught:
        parse_study(config(**changes))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def student(**teacher):
    recipe = {"extends": "scratch", "teacher": {"ensemble": "median", **teacher}}
    answer = {"recipe": "taught", "seeds": [0], "title": "t", "purpose": "p"}
    return {
        "only": ["median", "taught"],
        "datasets": {"matbench_mp_e_form": {"source": "matbench"}},
        "recipes": {"taught": recipe},
        "experiments": {"taught": answer, "median": {"compare_with": []}},
    }


def test_a_student_of_recorded_teachers():
    study = parse_study(config(**student(targets="recorded")))
    assert study.teacher_experiment("taught") is None
    assert study.holdout("taught", 0) == 0
    assert study.resolved("taught")["recipe"]["teacher"]["ensemble"] == "median"
    with pytest.raises(FoldwiseError, match=r"taught\.teacher\.targets: soft targets 'crossfit'"):
        parse_study(config(**student()))
