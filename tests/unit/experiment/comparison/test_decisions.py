"""The study's rules, case by case, and what they leave in results.json."""

import pytest

from experiment_files import make_study
from foldwise.common.files import read_json, write_json
from foldwise.experiment.comparison.decisions import Compared, adopt, drop, headline
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.statistics.intervals import Interval

FELL, MIXED, ROSE = [0.9, 0.8], [0.9, 1.1], [1.1, 1.2]


def compared(maes, low, high):
    difference = Interval((low + high) / 2, low, high, 0.95, 50)
    return Compared(maes, [1.0, 1.0], difference, "eV")


@pytest.mark.parametrize(
    ("maes", "low", "high", "adopted", "kept"),
    [
        (FELL, -0.3, -0.1, "adopted", "kept"),
        (FELL, -0.3, 0.1, "not adopted", "dropped"),
        (FELL, -0.3, 0.0, "not adopted", "dropped"),
        (MIXED, -0.3, -0.1, "not adopted", "kept"),
        ([0.9, 1.0], -0.3, -0.1, "not adopted", "kept"),
        (ROSE, 0.1, 0.3, "not adopted", "dropped"),
        (MIXED, -0.1, 0.1, "not adopted", "dropped"),
    ],
)
def test_adopt_and_drop(maes, low, high, adopted, kept):
    case = compared(maes, low, high)
    assert adopt("e0", case)["outcome"] == adopted
    assert drop("e0", case)["outcome"] == kept
    assert adopt("e0", case)["folds_better"] == sum(mae < 1 for mae in maes)
    assert f"lower on {sum(mae < 1 for mae in maes)} of 2 folds" in drop("e0", case)["reason"]


BOARD = {
    "task": "t",
    "unit": "eV",
    "entries": [
        {"name": "second", "mae": 0.2, "start": "scratch"},
        {"name": "first", "mae": 0.1, "start": "scratch"},
        {"name": "foreign", "mae": 0.01, "start": "pretrained"},
    ],
}


@pytest.mark.parametrize(
    ("mae", "board", "pretrained", "complete", "outcome"),
    [
        (0.11, BOARD, False, True, "headline"),
        (0.09, BOARD, False, True, "headline"),
        (0.1101, BOARD, False, True, "no headline"),
        (0.011, BOARD, True, True, "headline"),
        (0.09, BOARD, True, True, "no headline"),
        (0.09, BOARD, False, False, "not applicable"),
        (0.09, None, False, True, "not applicable"),
        (0.09, {**BOARD, "entries": BOARD["entries"][:2]}, True, True, "not applicable"),
    ],
)
def test_headline(mae, board, pretrained, complete, outcome):
    decision = headline("e4", 0.1, mae, board, pretrained=pretrained, complete=complete)
    assert decision["outcome"] == outcome
    if outcome != "not applicable":
        assert ("must not be ranked" in decision["reason"]) == pretrained
        assert ("foreign" if pretrained else "first") in decision["reason"]


@pytest.mark.slow  # buys: the decision, read from folders that are really written
def test_the_decision_stands_in_the_record_and_the_readme(tmp_path):
    study = make_study(tmp_path)
    rules = {
        "e3": {"rule": "adopt", "against": "e0"},
        "e4": {"rule": "headline", "makes": "e4", "reach": 0.1},
    }
    for name in ("e0", "e3", "e4"):
        path = study.paths(name).config
        write_json(path, read_json(path) | {"decision": rules.get(name)})
        write_experiment(load_inputs(study.paths(name), name), study.out(name))
    records = {name: read_json(study.out(name) / "results.json") for name in ("e0", "e3", "e4")}
    assert records["e0"]["decision"]["rule"] is None
    rule = records["e3"]["decision"]["rule"]
    entry = records["e3"]["decision"]["comparisons"][0]
    assert rule["outcome"] == "adopted"
    assert rule["folds_better"] == rule["folds"] == 5
    assert entry["interval"][1] < 0
    assert records["e4"]["decision"]["rule"]["outcome"] == "not applicable"
    text = " ".join((study.out("e3") / "README.txt").read_text().split())
    assert f"By the study's rule: {rule['reason']}" in text
